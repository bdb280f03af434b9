"""Is one model better than another, or lucky? Paired statistics over users.

`a`, `b` (n,): one metric of two models for the same users in the same order; average over seeds first, per user.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Values = NDArray[np.float64]

CONFIDENCE, POWER = 0.95, 0.8
RESAMPLES, BATCH = 5000, 100  # a batch of resamples at a time: all at once would take n * RESAMPLES * 8 bytes


@dataclass(frozen=True)
class Comparison:
    """What n users say about the difference of the means, a - b."""

    n: int
    difference: float
    low: float  # the 95% confidence interval of the difference, by bootstrap over users
    high: float
    p_t: float  # two-sided: paired t-test, about the mean
    p_wilcoxon: float  # two-sided: signed ranks, robust against a few users with large differences
    p_holm: float  # p_t corrected for the comparisons made beside or before it; p_t itself where there were none
    effect: float  # Cohen's d_z: the difference in standard deviations of the users' differences
    detectable: float  # the smallest true difference that so many users show with power 0.8 at level 0.05

    @property
    def significant(self) -> bool:
        return self.p_holm < 1 - CONFIDENCE


def compare(a: Values, b: Values, seed: int = 0) -> Comparison:
    """Paired comparison of `a` and `b` (n,); `seed` is the bootstrap's. ValueError for unpaired or fewer than 2."""
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"paired values of at least two users are needed, not shapes {a.shape} and {b.shape}")
    d = a - b
    mean, deviation = float(d.mean()), float(d.std(ddof=1))
    if not deviation:  # no spread: the tests are undefined and the answer is plain
        p = 1.0 if mean == 0 else 0.0
        return Comparison(len(d), mean, mean, mean, p, p, p, np.sign(mean) * np.inf if mean else 0.0, 0.0)
    p_t = float(stats.ttest_1samp(d, 0).pvalue)
    low, high = bootstrap_interval(d, seed)
    return Comparison(
        n=len(d),
        difference=mean,
        low=low,
        high=high,
        p_t=p_t,
        p_wilcoxon=float(stats.wilcoxon(d).pvalue),
        p_holm=p_t,
        effect=mean / deviation,
        detectable=detectable_difference(d),
    )


def welch(a: ArrayLike, b: ArrayLike) -> float | None:
    """p of Welch's t-test between the seeds' values a and b; None for a single seed, or where seeds change nothing."""
    one, two = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if min(len(one), len(two)) < 2 or (np.ptp(one) == 0 and np.ptp(two) == 0):
        return None
    for fixed, other in ((one, two), (two, one)):
        if np.ptp(fixed) == 0:  # the same test, without scipy's warning of a variance of 0
            return float(stats.ttest_1samp(other, fixed[0]).pvalue)
    return float(stats.ttest_ind(one, two, equal_var=False).pvalue)


def against(models: Mapping[str, Values], reference: str, seed: int = 0) -> dict[str, Comparison]:
    """Every other model minus `reference`, with Holm's correction over all of these comparisons."""
    found = {name: compare(values, models[reference], seed) for name, values in models.items() if name != reference}
    corrected = holm([comparison.p_t for comparison in found.values()])
    return {name: replace(found[name], p_holm=float(p)) for name, p in zip(found, corrected, strict=True)}


def holm(p_values: ArrayLike) -> Values:
    """Holm's (1979) step-down correction: adjusted p-values, in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def bootstrap_interval(values: Values, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap confidence interval of the mean of `values` (n,)."""
    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def detectable_difference(d: Values) -> float:
    """The true mean difference that a two-sided test at 1 - CONFIDENCE finds with probability POWER (normal theory)."""
    quantiles = stats.norm.ppf(1 - (1 - CONFIDENCE) / 2) + stats.norm.ppf(POWER)
    return float(quantiles * stats.sem(d))
