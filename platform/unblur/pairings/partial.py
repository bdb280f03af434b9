"""The whole history is generated from a part of it: what is left must suffice to generate the rest."""

import torch
from pydantic import Field
from torch import Tensor

from unblur import pairings
from unblur.nn.sparse import with_values
from unblur.parts import PartConfig


class Config(PartConfig):
    """How much is left out."""

    condition_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training drops an item of the condition, so that the rest must be generated."""


class Pairing(pairings.Pairing):
    """Items are dropped at random, anew in every step."""

    def corrupt(self, condition: Tensor) -> Tensor:
        return drop_items(condition, self.config.condition_dropout)


def drop_items(condition: Tensor, probability: float) -> Tensor:
    """A sparse CSR condition (B, n) with single items set to 0, each with `probability`."""
    if probability == 0:
        return condition
    values = condition.values()
    return with_values(condition, values * (torch.rand_like(values) >= probability))
