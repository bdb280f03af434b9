"""Pages that mkdocs writes by itself: every parameter of every model, from the Configs and their docstrings."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any, get_origin

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from unblur import models
from unblur.help import takes
from unblur.models.diffusion._config import DiffusionConfig
from unblur.parts import Needs, Part
from unblur.registry import Registry

PAGE = "reference/configuration.md"
HEAD = """# Configuration

Every parameter of every model, as `--set NAME=VALUE`, `--config` and a search space take it. This page is made from
the models' Configs when the documentation is built. **Swept** parameters change scoring alone: a search tries them on
each trained network.
"""
COMMON = "Every diffusion model"
FUNCTIONS = {
    "schedule": "unblur.diffusion.schedules",
    "sampler": "unblur.diffusion.samplers",
    "prediction": "unblur.diffusion.predictions",
}
"""Fields that choose a function by its name."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """mkdocs' event before pages are read."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The page in Markdown."""
    common = [f"## {COMMON}\n\n{DiffusionConfig.__doc__}\n", table(DiffusionConfig)]
    parts = [section for field in DiffusionConfig.model_fields for section in choices(field)]
    return "\n".join([HEAD, *common, *parts, *(section for name in models.names() for section in model(name))])


def model(name: str) -> list[str]:
    """The section of a model; of a diffusion model what it has otherwise than all of them."""
    config, about = models.config_class(name), inspect.getdoc(models.RECOMMENDERS.get(name)) or ""
    about = _cell(about.partition("\n\n")[0])
    if not issubclass(config, DiffusionConfig):
        return [f"## {name}\n\n{about}\n", table(config)]
    own = [each for each, field in config.model_fields.items() if not _alike(each, field)]
    told = f"[{COMMON}](#{COMMON.lower().replace(' ', '-')}) has the rest.\n"
    return [f"## {name}\n\n{about}\n", table(config, own) if own else "", told]


def table(config: type[BaseModel], names: list[str] | None = None) -> str:
    """The fields of a Config: what each takes, its default, what it means, and for which parts."""
    told, rows = docstrings(config), ["| parameter | takes | default | |", "|---|---|---|---|"]
    for name, field in config.model_fields.items():
        if names is None or name in names:
            default = "" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
            words = " ".join([*_notes(config, name), told.get(name, "")])
            rows.append(f"| `{name}` | {_cell(_values(field))} | {default} | {_cell(words)} |")
    return "\n".join(rows) + "\n"


def _values(field: FieldInfo) -> str:
    words = takes(field) or "true, false"
    return f"list of {words}" if get_origin(field.annotation) in (list, tuple) else words


def choices(field: str) -> list[str]:
    """The names that a field of diffusion models can have, with a line for each."""
    registries = [each.registry for each in DiffusionConfig.model_fields[field].metadata if isinstance(each, Part)]
    if field in FUNCTIONS:
        module = import_module(FUNCTIONS[field])
        registries = [getattr(module, f"{field}s".upper())]
    return [f"### `{field}`\n\n| | |\n|---|---|\n{_names(each)}\n" for each in registries]


def _names(registry: Registry[Any]) -> str:
    return "\n".join(f"| `{name}` | {_cell(registry.summary(name))} |" for name in registry.names())


def docstrings(config: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field, of a Config, of those that it inherits and of the parts that it can choose."""
    found: dict[str, str] = {}
    for cls in (each for owner in (config, *_part_configs(config)) for each in owner.__mro__):
        if cls.__module__.startswith("unblur."):
            found = {**_below(cls), **found}
    return found


@cache
def _below(cls: type[Any]) -> dict[str, str]:
    module = ast.parse(inspect.getsource(inspect.getmodule(cls) or cls))
    classes = (node for node in ast.walk(module) if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    body = next((each.body for each in classes), [])
    return {
        field.target.id: textwrap.dedent(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _part_configs(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in config.model_fields.values():
        for each in field.metadata:
            if isinstance(each, Part):
                yield from (each.registry.get(name).Config for name in each.registry.names())


def _notes(config: Any, name: str) -> list[str]:
    """When a parameter means something, and whether it is swept."""
    owners = getattr(config, "OWNERS", {}).get(name, {})
    notes = [f"With {field} = {', '.join(sorted(names))}:" for field, names in owners.items()]
    needs = [each.what for each in config.model_fields[name].metadata if isinstance(each, Needs)]
    notes += [f"(data with {each})" for each in needs]
    return [*notes, *(["**Swept.**"] if name in config.INFERENCE else [])]


def _alike(name: str, field: Any) -> bool:
    base = DiffusionConfig.model_fields.get(name)
    return base is not None and (base.annotation, base.default) == (field.annotation, field.default)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
