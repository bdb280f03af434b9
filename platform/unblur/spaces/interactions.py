"""The interactions themselves: x_0 is a user's whole row (DiffRec, Wang et al. 2023)."""

from torch import Tensor

from unblur import spaces
from unblur.parts import PartConfig
from unblur.spaces import Target


class Config(PartConfig):
    """No parameters."""


class Space(spaces.Space):
    """x_0 (b, n_items) scores the items as it is. What inference starts from stays sparse."""

    OF_COUNTS = True

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        self.dim = n_items

    def target(self, rows: Tensor) -> Target:
        return Target(rows.to_dense())

    def start(self, rows: Tensor) -> Tensor:
        return rows

    def scores(self, x_0: Tensor) -> Tensor:
        return x_0
