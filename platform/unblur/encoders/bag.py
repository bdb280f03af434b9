"""The bag of items as it is (Buchanan et al. 2024): the history scaled to length 1, without parameters."""

from torch import Tensor

from unblur import encoders
from unblur.nn.sparse import normalized
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Encoder(encoders.Encoder):
    """history / ||history||, sparse: the CFG paper concatenates it to x_t."""

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return n_items

    def forward(self, history: Tensor) -> Tensor:
        return normalized(history)
