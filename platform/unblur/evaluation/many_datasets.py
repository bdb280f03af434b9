"""Is one model better than another in general? Ranks over several datasets (Demsar 2006).

`table` (D, M): one number of each of M models on each of D datasets, of which more is better. Datasets may be measured
by different metrics, as only the order within each counts.
"""

from math import ceil, inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unblur.evaluation.significance import CONFIDENCE

Values = NDArray[np.float64]


def ranks(table: Values) -> Values:
    """Each model's rank on each dataset (D, M), 1 the best; equal ones share the mean of their places."""
    found: Values = stats.rankdata(-table, method="average", axis=1)
    return found


def friedman(table: Values) -> float | None:
    """p of Friedman's test that all models are alike; None for less than three models or two datasets."""
    datasets, models = table.shape
    if models < 3 or datasets < 2:
        return None
    if (table == table[:, :1]).all():  # everywhere level: the statistic is 0 / 0, and the answer is plain
        return 1.0
    return float(stats.friedmanchisquare(*table.T).pvalue)


def critical_difference(models: int, datasets: int) -> float:
    """Nemenyi's: how far two of the models' average ranks must lie apart to differ at the level 0.05.

    It holds for all pairs together. ValueError for less than two models or no dataset.
    """
    if models < 2 or datasets < 1:
        raise ValueError(f"at least two models and one dataset are needed, not {models} and {datasets}")
    return _quantile(models) * sqrt(models * (models + 1) / (6 * datasets))


def datasets_needed(models: int, difference: float) -> int:
    """From how many datasets on two models whose average ranks differ by so much can be told apart.

    With models - 1, one that is always first and one that is always last, nothing can be told before that.
    """
    return ceil(_quantile(models) ** 2 * models * (models + 1) / (6 * difference**2) - 1e-9)


def _quantile(models: int) -> float:
    """Of the Studentized range, infinitely many degrees of freedom, over sqrt(2)."""
    return float(stats.studentized_range.ppf(CONFIDENCE, models, inf) / sqrt(2))
