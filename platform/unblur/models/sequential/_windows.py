"""Windows of sequences: what models that predict the next item at every place learn from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unblur.data.sequences import Sequences, octaves

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Stretches of at least two items of users' sequences, which begin and end at places (n,) of `sequences.items`."""

    sequences: Sequences
    starts: Ints
    ends: Ints

    @classmethod
    def cut(cls, sequences: Sequences, length: int) -> "Windows":
        """Windows of at most `length` inputs, in which every item but a user's first is a target once.

        They are laid from the newest item backwards, so that only a user's oldest is shorter than the others.
        """
        counts = -(-np.maximum(sequences.lengths - 1, 0) // length)
        users = np.repeat(np.arange(len(counts)), counts)
        back = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
        ends = sequences.ends[users] - back * length
        return cls(sequences, np.maximum(ends - length - 1, sequences.starts[users]), ends)

    @property
    def targets(self) -> Ints:
        """How many targets each window has (n,)."""
        return self.ends - self.starts - 1

    def padded(self, rows: Ints) -> tuple[Ints, Ints]:
        """Inputs and targets of windows `rows` (b,), each (b, L) for the longest and padded on the left."""
        width = int(self.targets[rows].max(initial=1))
        items, _ = self.sequences.stretches(self.starts[rows], self.ends[rows]).padded(width + 1)
        inputs, targets = items[:, :-1], items[:, 1:].copy()
        targets[inputs == self.sequences.n_items] = self.sequences.n_items
        return inputs, targets

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Ints]:
        """An epoch's batches of `size` rows, in random order."""
        order = rng.permutation(len(self.ends))
        return (order[start : start + size] for start in range(0, len(order), size))

    def buckets(self, rows: Ints) -> list[Ints]:
        """`rows` (b,) by length, so that little is padding; the batch stays the random draw that it is."""
        return [rows[places] for places in octaves(self.targets[rows])]
