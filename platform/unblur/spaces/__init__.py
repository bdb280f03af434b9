"""Spaces: what is diffused, and how it scores items. One file per choice."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from unblur.data.artefacts import Artefact
from unblur.data.dataset import Dataset
from unblur.diffusion.objective import Denoised
from unblur.registry import modules

SPACES = modules("space", __name__)


class Target(NamedTuple):
    """What is diffused of a batch."""

    x_0: Tensor
    """(b, dim)."""
    details: Any = None
    """What the space's own loss needs beside it."""


class Moment(NamedTuple):
    """When in the training a batch comes: what annealed weights go by."""

    epoch: int
    update: int


class Space(nn.Module, ABC):
    """A part of this package: one file with this class, named `Space(n_items, config)`, and its `Config`."""

    OF_COUNTS: ClassVar[bool] = False
    """Whether x_0 holds interactions themselves, and so the scores of items."""
    SIGNED: ClassVar[bool] = True
    """Whether dislikes (negative entries) have a meaning in x_0."""
    dim: int
    """Length of x_0."""
    item_std: float = 1.0
    """Deviation of the numbers that `item_table` begins with, where there is one."""

    @classmethod
    def artefacts(cls, config: Any) -> Sequence[Artefact]:
        """What `setup` wants to find in `Dataset.artefacts`."""
        return ()

    def setup(self, dataset: Dataset, seed: int) -> None:
        """Learn from the data what is not learned by gradient; called once before training."""

    @abstractmethod
    def target(self, rows: Tensor) -> Target:
        """What training diffuses of weighted histories (b, n_items), sparse CSR."""

    @abstractmethod
    def start(self, rows: Tensor) -> Tensor:
        """What inference diffuses of them: (b, dim), dense or sparse CSR."""

    @abstractmethod
    def scores(self, x_0: Tensor) -> Tensor:
        """Scores of all items (b, n_items) for x_0 (b, dim)."""

    def loss(self, diffusion: Tensor, denoised: Denoised, target: Target, moment: Moment) -> Tensor:
        """The training losses (b,), given the diffusion's (b,)."""
        return diffusion

    def footprint(self, dataset: Dataset) -> int:
        """Estimated bytes that `setup` takes."""
        return 0

    @property
    def item_table(self) -> nn.Parameter | None:
        """Embeddings of the items (n_items, d), where x_0 is made of such: an encoder may read items by the same."""
        return None

    @property
    def lr(self) -> float | None:
        """Its own learning rate; None: the denoiser's."""
        return None
