"""The whole history is generated from a part of it: what is left must suffice to generate the rest."""

import torch
from pydantic import Field
from torch import Tensor

from unblur import pairings
from unblur.diffusion.condition import Condition
from unblur.parts import PartConfig


class Config(PartConfig):
    """How much is left out."""

    condition_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training drops an item of the condition, so that the rest must be generated."""


class Pairing(pairings.Pairing):
    """Items are dropped at random, anew in every step."""

    @property
    def hides(self) -> bool:
        return bool(self.config.condition_dropout > 0)

    def corrupt(self, condition: Condition, items: Tensor | None) -> Condition:
        return drop_items(condition, self.config.condition_dropout)


def drop_items(condition: Condition, probability: float) -> Condition:
    """The condition without single items, each with `probability`."""
    if probability == 0:
        return condition
    places = condition.places
    return condition.keep_items(torch.rand(places.shape, device=places.device) >= probability)
