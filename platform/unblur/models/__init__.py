"""One module per recommender, found by its name: `Config` (a ModelConfig) and `Model` (a Recommender)."""

import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import ValidationError

from unblur.errors import UserError, explain, unknown
from unblur.models.base import ModelConfig, Recommender

_HELPERS = {"ablations", "autoencoder", "base", "clusters", "dislikes", "files", "linear", "pairwise", "presets"}
_HELPERS |= {"reverse", "trained"}


def names() -> list[str]:
    """All known models."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in _HELPERS)


def config_class(name: str) -> type[ModelConfig]:
    """The Config of a model; UserError, with the nearest name, when there is none such."""
    return _module(name).Config  # type: ignore[no-any-return]


def model_class(name: str) -> type[Recommender[Any]]:
    """The class of a model; UserError, with the nearest name, when there is none such."""
    return _module(name).Model  # type: ignore[no-any-return]


def configure(name: str, params: dict[str, Any], where: str) -> ModelConfig:
    """The Config of model `name` with `params`; UserError says which field of `where` is wrong and why."""
    try:
        return config_class(name).model_validate(params)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, 'parameter', config_class(name).model_fields)}") from None


def load(folder: Path) -> Recommender[Any]:
    """The model that `save` wrote to `folder`, whichever it is; UserError when it is missing or damaged."""
    return model_class(name_in(folder)).load(folder)


def name_in(folder: Path) -> str:
    """The name of the model that `save` wrote to `folder`; UserError when it is missing or damaged."""
    try:
        return json.loads((folder / "config.json").read_text())["model"]  # type: ignore[no-any-return]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no saved model: {error}") from None


def _module(name: str) -> Any:
    if name not in names():
        raise unknown("model", name, names())
    return import_module(f"{__name__}.{name}")
