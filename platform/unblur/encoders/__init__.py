"""Encoders: what a denoiser is told of a history, one file per choice."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from unblur.registry import modules

ENCODERS = modules("encoder", __name__)


class Encoder(nn.Module, ABC):
    """A part of this package: one file with this class, named `Encoder(n_items, config)`, and its `Config`."""

    SIGNED: ClassVar[bool] = True
    """Whether a history may hold negative entries (dislikes)."""

    @staticmethod
    @abstractmethod
    def size(n_items: int, config: Any) -> int:
        """Length of the vector."""

    @abstractmethod
    def forward(self, history: Tensor) -> Tensor:
        """Vectors (B, size), dense or sparse CSR, from sparse CSR histories (B, n_items); those of empty rows are 0."""
