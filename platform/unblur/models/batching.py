"""Seeded, sharded batches of rows: the one way in which every model goes through its training examples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """One rank's rows of a batch."""

    whole: Ids
    """Which examples the whole batch has, over all ranks."""
    rank: int
    world: int
    epoch: int
    update: int
    """Batches before this one, since the training began: what annealed weights go by."""

    @property
    def rows(self) -> Ids:
        """The rank's own (b,): every `world`-th."""
        return self.whole[self.rank :: self.world]

    @property
    def size(self) -> int:
        """Examples of the whole batch."""
        return len(self.whole)


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """The generator of an epoch's order and negatives: the same on every rank and after a resume."""
    return np.random.default_rng([seed, epoch])


def shares(
    rows: Ids, size: int, rng: np.random.Generator, epoch: int, rank: int = 0, world: int = 1
) -> Iterator[Share]:
    """The rank's shares of an epoch's batches: `rows` in the generator's order, `size` at a time."""
    order = rng.permutation(rows)
    starts = range(0, len(order), size)
    for i, start in enumerate(starts):
        whole = order[start : start + size]
        yield Share(whole, rank, world, epoch, epoch * len(starts) + i)
