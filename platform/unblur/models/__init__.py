"""One module per recommender, in a folder by family, found by its name: `Config` and `Model` (a Recommender)."""

import json
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from pydantic import ValidationError

from unblur.errors import UserError, explain, unknown
from unblur.models.base import ModelConfig, Recommender


def _modules() -> dict[str, str]:
    """Where each model is; a module whose name begins with an underscore is a helper."""
    found = (module.name for module in walk_packages(__path__, f"{__name__}.") if not module.ispkg)
    depth = __name__.count(".") + 2
    return {
        name.rpartition(".")[2]: name
        for name in found
        if name.count(".") == depth and not name.rpartition(".")[2].startswith("_")
    }


def names() -> list[str]:
    """All known models."""
    return sorted(_modules())


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
    modules = _modules()
    if name not in modules:
        raise unknown("model", name, modules)
    return import_module(modules[name])
