"""Sequences of items: each user's history in order of time, ragged or padded to (B, L)."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Sequences:
    """Items of B users in order of time, oldest first, one user's after the other's.

    items: int64 (n,). indptr: int64 (B + 1,), where each user's begin and end in `items`. n_items: the size of the
    catalogue, which is also the id that stands for padding.
    """

    items: Ints
    indptr: Ints
    n_items: int

    @classmethod
    def ordered(cls, matrix: csr_matrix, rank: NDArray[np.int32]) -> "Sequences":
        """From a binary CSR (B, n_items) and the 0-based rank in time of each entry, aligned with its indices."""
        indptr = matrix.indptr.astype(np.int64)
        items = np.empty(matrix.nnz, dtype=np.int64)
        items[np.repeat(indptr[:-1], np.diff(indptr)) + rank] = matrix.indices
        return cls(items, indptr, matrix.shape[1])

    @property
    def lengths(self) -> Ints:
        """How many items each user has (B,)."""
        return np.diff(self.indptr)

    def rows(self, users: Ints) -> "Sequences":
        """The sequences of `users` (B,), in that order."""
        lengths = self.lengths[users]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[users] - indptr[:-1], lengths)
        return Sequences(self.items[places], indptr, self.n_items)

    def padded(self, length: int) -> tuple[Ints, Ints]:
        """The last `length` items of each user (B, length), newest last, padded on the left; and how many (B,)."""
        return self.windows(self.indptr[:-1], self.indptr[1:], length)

    def windows(self, starts: Ints, ends: Ints, length: int) -> tuple[Ints, Ints]:
        """The last `length` of items[start:end] (b, length), padded on the left, and how many of them there are (b,).

        starts, ends: int64 (b,), places in `items`; a window is the caller's to keep within one user.
        """
        places = ends[:, None] - np.arange(length, 0, -1)
        inside = places >= starts[:, None]
        window = np.full(inside.shape, self.n_items, dtype=np.int64)
        window[inside] = self.items[places[inside]]
        return window, np.minimum(ends - starts, length)
