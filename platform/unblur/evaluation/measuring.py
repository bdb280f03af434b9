"""Every metric at every cutoff, by name: `ndcg@10` as people write it, `ndcg_at_10` in code and JSON."""

from collections.abc import Sequence

import numpy as np

from unblur.errors import UserError, unknown
from unblur.evaluation.metrics import Ranking, Values
from unblur.registry import functions

METRICS = functions("metric", "unblur.evaluation.metrics")
CUTOFFS = (1, 5, 10, 20)

DEFINITION = (
    "recall divides by all held-out items; ideal DCG cut at K; mean over users with at least one held-out item; "
    "coverage and Gini over all their lists together"
)
"""Of the metrics; `evaluation.protocol` has the rest."""


def key(metric: str, k: int) -> str:
    """A metric at a cutoff in code: `ndcg_at_10`."""
    return f"{metric}_at_{k}"


def spelled(key: str) -> str:
    """`ndcg_at_10` as people write it: `ndcg@10`."""
    return key.replace("_at_", "@")


def keys(cutoffs: Sequence[int] = CUTOFFS) -> list[str]:
    """Every metric at these cutoffs, in code: what a Ranking is measured by."""
    return [key(metric, k) for metric in METRICS.names() for k in cutoffs]


def objectives() -> list[str]:
    """Every metric at every cutoff that a search can maximise, as people write it."""
    chosen = [metric for metric in METRICS.names() if not _descriptive(metric)]
    return [spelled(key(metric, k)) for metric in chosen for k in CUTOFFS]


def _descriptive(metric: str) -> bool:
    return bool(getattr(METRICS.get(metric), "descriptive", False))


def parse_metric(name: str) -> str:
    """`ndcg@10` to `ndcg_at_10`; UserError for an unknown metric, and for one of which more is not better."""
    metric, at, k = name.partition("@")
    if at and metric in METRICS and k in map(str, CUTOFFS):
        if _descriptive(metric):
            raise UserError(f"{name} describes recommendations, more of it is not better: name another to decide")
        return key(metric, int(k))
    raise unknown("metric", name, objectives())


def measure(ranking: Ranking) -> dict[str, Values | float]:
    """Every metric at every cutoff by its name in code: per user (B,), or one number for all lists together."""
    if ranking.hits.shape[1] < max(CUTOFFS):
        raise ValueError(f"lists are {ranking.hits.shape[1]} long, and the largest cutoff is {max(CUTOFFS)}")
    return {key(name, k): METRICS.get(name)(ranking, k) for name in METRICS.names() for k in CUTOFFS}


def per_user(ranking: Ranking) -> dict[str, Values]:
    """The metrics that have a value for each user (B,)."""
    return {name: values for name, values in measure(ranking).items() if isinstance(values, np.ndarray)}


def means(ranking: Ranking) -> dict[str, float]:
    """Every metric: the mean over the users, or the one number of all lists together."""
    return {name: float(np.mean(values)) for name, values in measure(ranking).items()}
