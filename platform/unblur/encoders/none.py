"""No encoder: the history gives the network no vector."""

from torch import Tensor

from unblur import encoders
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Encoder(encoders.Encoder):
    """Never built, as its size is 0."""

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return 0

    def forward(self, history: Tensor) -> Tensor:
        raise AssertionError("there is nothing to encode")
