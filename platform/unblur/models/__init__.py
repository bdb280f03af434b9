"""One module per recommender, in a folder by family, found by its name: `Config` and `Model` (a Recommender)."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unblur.errors import UserError, explain
from unblur.models.base import ModelConfig, Recommender, TrainableRecommender
from unblur.registry import modules

RECOMMENDERS = modules("model", __name__)


def names() -> list[str]:
    """All known models."""
    return RECOMMENDERS.names()


def config_class(name: str) -> type[ModelConfig]:
    """The Config of a model; UserError, with the nearest name, when there is none such."""
    return RECOMMENDERS.get(name).Config  # type: ignore[no-any-return]


def model_class(name: str) -> type[Recommender[Any]]:
    """The class of a model; UserError, with the nearest name, when there is none such."""
    return RECOMMENDERS.get(name).Model  # type: ignore[no-any-return]


def trained_by_gradient(name: str) -> bool:
    """Whether a model is trained in epochs; otherwise it is fitted in one go."""
    return issubclass(model_class(name), TrainableRecommender)


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
        raise UserError(f"{folder} holds no saved model: {error}; name the folder of one") from None
