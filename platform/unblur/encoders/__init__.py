"""Encoders: what a denoiser is told of a history, one file per choice."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from unblur.diffusion.condition import Condition, ItemReader
from unblur.registry import modules

ENCODERS = modules("encoder", __name__)


class Encoder(nn.Module, ItemReader, ABC):
    """A part of this package: one file with this class, named `Encoder(n_items, config)`, and its `Config`."""

    SIGNED: ClassVar[bool] = True
    """Whether a history may hold negative entries (dislikes)."""
    ORDERED: ClassVar[bool] = False
    """Whether it reads histories in their order."""

    @staticmethod
    @abstractmethod
    def size(n_items: int, config: Any) -> int:
        """Length of the vector."""

    def read(self, condition: Condition) -> Tensor:
        """The vectors (B, size) of a condition; of one in its order that it does not read by the items alone."""
        vectors: Tensor = self(condition.tensor if self.ORDERED else condition.rows)
        return vectors

    @abstractmethod
    def forward(self, history: Tensor) -> Tensor:
        """Vectors (B, size), dense or sparse CSR; those of empty histories are 0.

        history: weighted sparse CSR rows (B, n_items), or ids (B, up to L), newest last, padded on the left with
        n_items.
        """
