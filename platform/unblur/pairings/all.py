"""The whole history is generated from the whole history (Buchanan et al. 2024)."""

from unblur import pairings
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Pairing(pairings.Pairing):
    """x_0 and condition are the same."""

    @property
    def hides(self) -> bool:
        return False
