"""Directed item-item sums: what comes after what, over the places where users' histories are cut in two."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import WITH_ORDER, Dataset, History
from unblur.errors import UserError
from unblur.models.base import Operations
from unblur.models.closed_form._linear import BLOCK, Floats, precision
from unblur.models.recency import GeometricConfig

Decay = Callable[[Floats], Floats]
"""Weights by the distance from the cut, 0 for the item next to it."""


class DirectedConfig(GeometricConfig):
    """Parameters of ridge regressions of what came later on what came earlier."""

    l2: float = Field(20.0, gt=0)
    """Ridge penalty, lambda."""
    cuts: int = Field(20, ge=1)
    """Places at most, evenly spread, at which a history is cut into an earlier and a later part."""


@dataclass(frozen=True)
class Sums:
    """Sums over all cuts of all users: s is the weighted earlier part (n_items,) of a history, t the later one."""

    ss: Floats
    """s s^T (n_items, n_items)."""
    st: Floats
    """s t^T (n_items, n_items), row = what came earlier."""
    tt: Floats | None
    """t t^T (n_items, n_items), where asked for."""
    t: Floats
    """t (n_items,)."""
    cuts: int
    """How many there were."""


def directed_sums(history: History, earlier: Decay, later: Decay, cuts: int, with_tt: bool = False) -> Sums:
    """`Sums` of a history with at most `cuts` cuts a user; UserError where it has no order or nobody has two items.

    A history is a small dense problem of its own, and is added to the sums where its items are: the rows s and t are
    never there for all users at once.
    """
    n_items = history.matrix.shape[1]
    dtype = precision(n_items)
    ss, st, tt = (np.zeros((n_items, n_items), dtype) if asked else None for asked in (True, True, with_tt))
    assert ss is not None and st is not None
    total, count = np.zeros(n_items, dtype), 0
    for items in sequences(history):
        s, t = _parts(len(items), cuts, earlier, later)
        place = np.ix_(items, items)
        ss[place] += s.T @ s
        st[place] += s.T @ t
        if tt is not None:
            tt[place] += t.T @ t
        total[items] += t.sum(axis=0)
        count += len(s)
    if not count:
        raise UserError("no user has two interactions, so nothing is known of what follows what: name another model")
    return Sums(ss, st, tt, total, count)


def sequences(history: History) -> Iterator[NDArray[np.int32]]:
    """The items of each user with at least two, oldest first; UserError where the history has no order."""
    if history.rank is None:
        raise UserError(f"this model learns what follows what, and this dataset has no order in time: {WITH_ORDER}")
    indptr = history.matrix.indptr
    ordered = np.empty_like(history.matrix.indices)
    ordered[np.repeat(indptr[:-1], np.diff(indptr)) + history.rank] = history.matrix.indices
    return (ordered[start:end] for start, end in pairwise(indptr) if end - start > 1)


def geometric(gamma: float) -> Decay:
    """gamma^distance."""
    return lambda distance: np.asarray(np.power(gamma, distance))


def next_alone(distance: Floats) -> Floats:
    """1 for the item next to the cut, 0 for all others."""
    return np.asarray(distance == 0, dtype=np.float64)


def directed_footprint(dataset: Dataset, matrices: int) -> int:
    """Bytes of so many matrices of sums, of the float32 result and the longest history's own problem."""
    longest = int(np.diff(dataset.train.indptr).max(initial=0))
    held = matrices * np.dtype(precision(dataset.n_items)).itemsize + 4
    return held * dataset.n_items**2 + 32 * longest**2 + 32 * int(dataset.train.nnz) + 4 * BLOCK * dataset.n_items


def directed_operations(dataset: Dataset, cuts: int, products: float) -> Operations:
    """So many n^3 in double precision, a random access for each pair of a history's items, and its own problem."""
    lengths = np.diff(dataset.train.indptr).astype(np.float64)
    own = (2 * np.minimum(cuts, lengths) * lengths**2).sum()
    slower = np.dtype(precision(dataset.n_items)).itemsize // 4
    return Operations(slower * products * dataset.n_items**3 + own, 8 * np.square(lengths).sum())


def _parts(length: int, cuts: int, earlier: Decay, later: Decay) -> tuple[Floats, Floats]:
    """The weights (cuts, length) of the earlier and the later part of a history of `length` items, oldest first."""
    cut = np.unique(np.linspace(1, length - 1, min(cuts, length - 1)).round())[:, None]
    distance = cut - 1 - np.arange(length)  # to the item before the cut; negative behind it
    before = distance >= 0
    return (
        np.where(before, earlier(np.maximum(distance, 0)), 0),
        np.where(before, 0, later(np.maximum(-distance - 1, 0))),
    )
