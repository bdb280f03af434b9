"""Ranking metrics in pure numpy: one public function each, found by its name (`ndcg` is ndcg@10 on the command line).

A metric is given a Ranking and a cutoff k, which is no larger than K. It answers one value for each user, (B,) float64,
of which the mean over users is taken, or one number where only all lists together have a value (coverage).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """What was recommended to B users, best first, and which of it they had held out."""

    items: NDArray[np.int64]
    """Item ids (B, K); -1 where a user has fewer than K candidates."""
    hits: NDArray[np.bool_]
    """Which of them are held-out items (B, K)."""
    n_relevant: NDArray[np.int64]
    """All held-out items of each user (B,), found or not; positive."""
    counts: NDArray[np.int64]
    """How many users have each item in train (n_items,)."""
    n_train_users: int
    """How many users there are in train."""

    def shown(self, k: int) -> NDArray[np.int64]:
        """Everybody's first k items, flat; places without an item are left out."""
        first = self.items[:, :k]
        return first[first >= 0]

    def mean_of_items(self, value: Values, k: int) -> Values:
        """The mean of `value` (n_items,) over each user's first k items (B,); 0 for a user without any."""
        first = self.items[:, :k]
        there = first >= 0
        sums: Values = np.where(there, value[first], 0.0).sum(axis=1)
        means: Values = sums / np.maximum(there.sum(axis=1), 1)
        return means


Metric = Callable[[Ranking, int], Values | float]
M = TypeVar("M", bound=Metric)


def _descriptive(function: M) -> M:
    """Mark a metric of which more is not better, so that no search can maximise it."""
    function.descriptive = True  # type: ignore[attr-defined]
    return function


def precision(ranking: Ranking, k: int) -> Values:
    """The share of the first k recommendations that are held-out items."""
    return _found(ranking, k) / k


def recall(ranking: Ranking, k: int) -> Values:
    """The share of all held-out items, not of min(that, k), found among the first k."""
    return _found(ranking, k) / np.maximum(ranking.n_relevant, 1)


def ndcg(ranking: Ranking, k: int) -> Values:
    """Discounted cumulative gain (binary gains, log2 discount) over the best possible, of min(n_relevant, k) hits."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.clip(ranking.n_relevant, 1, k) - 1]
    gained: Values = ranking.hits[:, :k] @ discount
    return gained / ideal


def mrr(ranking: Ranking, k: int) -> Values:
    """One over the position, from 1, of the first held-out item among the first k; 0 without one."""
    hits = ranking.hits[:, :k]
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)


def map(ranking: Ranking, k: int) -> Values:
    """The precision at the place of each held-out item among the first k, summed, over the number of all of them.

    Average precision, as trec_eval's map_cut has it.
    """
    hits = ranking.hits[:, :k]
    precision_there = hits.cumsum(axis=1) / np.arange(1, k + 1)
    summed: Values = (precision_there * hits).sum(axis=1)
    return summed / np.maximum(ranking.n_relevant, 1)


def hit_rate(ranking: Ranking, k: int) -> Values:
    """Whether any of the first k recommendations is a held-out item; with one held-out item, as recall."""
    return (_found(ranking, k) > 0).astype(np.float64)


def novelty(ranking: Ranking, k: int) -> Values:
    """The mean self-information of the recommendations in bits, -log2 of the share of users who have the item in train.

    Zhou et al. 2010. An item that nobody has counts as if one user had it.
    """
    return ranking.mean_of_items(-np.log2(np.maximum(ranking.counts, 1) / ranking.n_train_users), k)


@_descriptive
def popularity(ranking: Ranking, k: int) -> Values:
    """The mean number of users who have a recommended item in train."""
    return ranking.mean_of_items(ranking.counts.astype(np.float64), k)


def coverage(ranking: Ranking, k: int) -> float:
    """The share of the catalogue that is recommended to anyone."""
    return len(np.unique(ranking.shown(k))) / len(ranking.counts)


@_descriptive
def gini(ranking: Ranking, k: int) -> float:
    """The Gini index of exposure over the catalogue: 0 when all items are shown equally often, near 1 for one item."""
    n_items = len(ranking.counts)
    exposure = np.sort(np.bincount(ranking.shown(k), minlength=n_items))
    position = np.arange(1, n_items + 1)
    return float(((2 * position - n_items - 1) * exposure).sum() / (n_items * max(exposure.sum(), 1)))


def _found(ranking: Ranking, k: int) -> Values:
    """How many of the first k recommendations are held-out items (B,)."""
    count: Values = ranking.hits[:, :k].sum(axis=1, dtype=np.float64)
    return count
