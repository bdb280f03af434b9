"""The dial of a guided model: its guidance scale, which whoever asks for recommendations may set."""

from typing import Any

from pydantic import ValidationError

from unblur.errors import UserError, explain
from unblur.models.base import Recommender

DIAL = "guidance_scale"


def turn(model: Recommender[Any], scale: float, asked_as: str) -> None:
    """Score with this guidance scale from now on; UserError where the model knows none, or not this one."""
    told, fields = f"{asked_as} {scale:g}", model.config.INFERENCE
    if DIAL not in fields:
        raise UserError(f"{told}: this model has no guidance; leave it out, or name a guided model")
    try:
        model.infer_with({DIAL: scale})
    except ValidationError as error:
        raise UserError(f"{told}: {explain(error, 'parameter', fields)}") from None
