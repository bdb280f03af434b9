"""Sequences of items: each user's history in order of time, ragged or padded to (B, L)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Ints = NDArray[np.int64]


def octaves(lengths: Ints) -> list[Ints]:
    """Places of `lengths` (b,) in groups, shortest first, within which they differ by less than a factor of two.

    Padded to their group's longest, a few histories that are long and many that are short are mostly no padding.
    """
    octave = np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    return [np.flatnonzero(octave == each) for each in np.unique(octave)] or [np.arange(0)]


def ranges(starts: Ints, ends: Ints) -> Ints:
    """The numbers from each start to the end before it is reached, one range after the other: (sum of lengths,)."""
    lengths = ends - starts
    return np.arange(lengths.sum()) + np.repeat(ends - np.cumsum(lengths), lengths)


@dataclass(frozen=True)
class Sequences:
    """B stretches of items in order of time, oldest first: users' histories, or parts of them, which may overlap.

    items: int64 (n,). starts, ends: int64 (B,), where each begins and ends in `items`. n_items: the size of the
    catalogue, which is also the id that stands for padding.
    """

    items: Ints
    starts: Ints
    ends: Ints
    n_items: int

    @classmethod
    def ragged(cls, items: Ints, indptr: Ints, n_items: int) -> Self:
        """One user's items after the other's, which begin and end at `indptr` (B + 1,)."""
        return cls(items, indptr[:-1], indptr[1:], n_items)

    @classmethod
    def none(cls, n_users: int, n_items: int) -> Self:
        """Of users who have nothing."""
        return cls.ragged(np.arange(0), np.zeros(n_users + 1, dtype=np.int64), n_items)

    @classmethod
    def ordered(cls, matrix: csr_matrix, rank: NDArray[np.int32]) -> Self:
        """From a binary CSR (B, n_items) and the 0-based rank in time of each entry, aligned with its indices."""
        indptr = matrix.indptr.astype(np.int64)
        items = np.empty(matrix.nnz, dtype=np.int64)
        items[np.repeat(indptr[:-1], np.diff(indptr)) + rank] = matrix.indices
        return cls.ragged(items, indptr, matrix.shape[1])

    @property
    def lengths(self) -> Ints:
        """How many items there are in each (B,)."""
        return self.ends - self.starts

    def rows(self, rows: Ints | slice) -> Self:
        """Those of `rows` (b,), in that order."""
        return self.stretches(self.starts[rows], self.ends[rows])

    def stretches(self, starts: Ints, ends: Ints) -> Self:
        """Other stretches (b,) of the same items; to keep each within one user is the caller's."""
        return replace(self, starts=starts, ends=ends)

    def windows(self, length: int) -> tuple[Self, Ints]:
        """Stretches of at most `length` items and the one behind them, in which every item but a user's first lies
        behind another once; and whose they are.

        They are laid from the newest item backwards, so that only a user's oldest is shorter than the others; of a
        single item there is none.
        """
        counts = -(-np.maximum(self.lengths - 1, 0) // length)
        users = np.repeat(np.arange(len(counts)), counts)
        back = ranges(np.zeros_like(counts), counts)
        ends = self.ends[users] - back * length
        return self.stretches(np.maximum(ends - length - 1, self.starts[users]), ends), users

    @property
    def places(self) -> Ints:
        """Where in `items` the items of one after the other are: (sum of lengths,)."""
        return ranges(self.starts, self.ends)

    def padded(self, length: int) -> tuple[Ints, Ints]:
        """The last `length` items of each (B, length), newest last, padded on the left; and how many (B,)."""
        places = self.ends[:, None] - np.arange(length, 0, -1)
        inside = places >= self.starts[:, None]
        window = np.full(inside.shape, self.n_items, dtype=np.int64)
        window[inside] = self.items[places[inside]]
        return window, np.minimum(self.lengths, length)


def joined(parts: Iterable[Sequences]) -> Sequences:
    """Each user's stretches of several parts as one, the first part's first."""
    parts = list(parts)
    lengths = np.stack([part.lengths for part in parts], axis=1)  # (B, parts)
    ends = np.cumsum(lengths.ravel()).reshape(lengths.shape)
    items = np.empty(int(lengths.sum()), dtype=np.int64)
    for part, last, length in zip(parts, ends.T, lengths.T, strict=True):
        items[ranges(last - length, last)] = part.items[part.places]
    return Sequences.ragged(items, np.concatenate([[0], ends[:, -1]]), parts[0].n_items)
