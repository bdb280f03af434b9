"""Ranking metrics on hit matrices: pure numpy, one function each, found by its name.

`hits` (B, K) bool says which of a user's K recommendations, best first, are held-out items; `n_relevant` (B,) counts
all of the user's held-out items, found or not. Every metric answers (B,) float64, and 0 for a user who has none.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from unblur.errors import unknown

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Metric = Callable[[Hits, Counts, int], Values]

CUTOFFS = (1, 5, 10, 20)
METRICS: dict[str, Metric] = {}

DEFINITION = (
    "full ranking; input history = train (or train+valid where said); candidates = all items but the user's train "
    "(validation), all but train and valid (test); recall divides by all held-out items; ideal DCG cut at K; "
    "mean over users with at least one held-out item"
)


def _found(hits: Hits, k: int) -> Values:
    """How many of the first k recommendations are held-out items (B,)."""
    count: Values = hits[:, :k].sum(axis=1, dtype=np.float64)
    return count


def metric(function: Metric) -> Metric:
    """Make a function known as a metric under its own name."""
    METRICS[function.__name__] = function
    return function


@metric
def precision(hits: Hits, n_relevant: Counts, k: int) -> Values:
    """The share of the first k recommendations that are held-out items."""
    return _found(hits, k) / k


@metric
def recall(hits: Hits, n_relevant: Counts, k: int) -> Values:
    """The share of all held-out items, not of min(that, k), found among the first k."""
    return _found(hits, k) / np.maximum(n_relevant, 1)


@metric
def ndcg(hits: Hits, n_relevant: Counts, k: int) -> Values:
    """DCG with binary gains and log2 discount over the ideal one, which has min(n_relevant, k) hits."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.clip(n_relevant, 1, k) - 1]
    gained: Values = hits[:, :k] @ discount
    return gained / ideal


@metric
def mrr(hits: Hits, n_relevant: Counts, k: int) -> Values:
    """One over the position, from 1, of the first hit among the first k; 0 without a hit."""
    first = hits[:, :k].argmax(axis=1)
    return np.where(hits[:, :k].any(axis=1), 1 / (first + 1), 0.0)


def parse_metric(name: str) -> str:
    """`ndcg@10`, as written on the command line, to `ndcg_at_10`, as used in code; UserError for an unknown one."""
    known = [f"{metric}@{k}" for metric in METRICS for k in CUTOFFS]
    if name not in known:
        raise unknown("metric", name, known)
    return name.replace("@", "_at_")


def all_metrics(hits: Hits, n_relevant: Counts) -> dict[str, Values]:
    """Every metric at every cutoff by its name in code, per user (B,); `hits` is at least max(CUTOFFS) wide."""
    if hits.shape[1] < max(CUTOFFS):
        raise ValueError(f"hits are {hits.shape[1]} wide, and the largest cutoff is {max(CUTOFFS)}")
    return {f"{name}_at_{k}": function(hits, n_relevant, k) for name, function in METRICS.items() for k in CUTOFFS}


def average(per_user: Mapping[str, Values], n_relevant: Counts) -> dict[str, float]:
    """The mean of each metric over the users with at least one held-out item."""
    counted = n_relevant > 0
    if not counted.any():
        raise ValueError("no user has a held-out item: there is nothing to average")
    return {name: float(values[counted].mean()) for name, values in per_user.items()}
