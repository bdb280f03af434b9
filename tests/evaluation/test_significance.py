"""Statistics: textbook values, symmetry, and error rates on simulated users."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from unblur.evaluation.significance import against, bootstrap_interval, compare, detectable_difference, holm, welch


def users(seed: int, n: int = 400, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    b = rng.beta(1, 8, n)
    return b + rng.normal(shift, 0.05, n), b


def test_holm_on_a_worked_example() -> None:
    assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(holm([0.6, 0.7]), [1, 1])
    assert holm([]).shape == (0,)


def test_agrees_with_scipy_on_paired_samples() -> None:
    a, b = users(0, shift=0.01)
    result = compare(a, b)
    assert result.p_t == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert result.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert result.effect == pytest.approx((a - b).mean() / (a - b).std(ddof=1))


def test_swapping_the_models_turns_the_sign_and_keeps_the_p_values() -> None:
    a, b = users(1, shift=0.01)
    one, other = compare(a, b), compare(b, a)
    assert one.difference == -other.difference
    assert one.p_t == pytest.approx(other.p_t)
    assert one.p_wilcoxon == pytest.approx(other.p_wilcoxon)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-3)


def test_interval_is_near_the_t_interval_and_repeats() -> None:
    a, b = users(2)
    interval = stats.ttest_rel(a, b).confidence_interval()
    low, high = bootstrap_interval(a - b, seed=5)
    assert_allclose([low, high], [interval.low, interval.high], atol=5e-4)
    assert (low, high) == bootstrap_interval(a - b, seed=5)


def test_equal_models_are_not_different_and_constant_differences_are() -> None:
    a, _ = users(3)
    same = compare(a, a)
    assert (same.difference, same.low, same.high, same.p_holm, same.effect) == (0, 0, 0, 1, 0)
    assert not same.significant
    shifted = compare(np.ones(5), np.zeros(5))
    assert shifted.significant
    assert shifted.effect == np.inf


def test_detectable_difference_is_detected_with_its_power() -> None:
    rng = np.random.default_rng(4)
    spread, n = 0.2, 500
    size = detectable_difference(rng.normal(0, spread, 100_000)) * np.sqrt(100_000 / n)
    found = stats.ttest_1samp(rng.normal(size, spread, (2000, n)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_holm_keeps_the_family_of_comparisons_honest() -> None:
    a, b = users(5, shift=0.05)
    models = {"ours": a, "reference": b, **{f"noise {i}": b + users(10 + i)[0] - users(10 + i)[1] for i in range(4)}}
    found = against(models, "reference")
    assert set(found) == set(models) - {"reference"}
    assert found["ours"].significant
    assert all(c.p_holm >= c.p_t for c in found.values())
    assert_allclose([c.p_holm for c in found.values()], holm([c.p_t for c in found.values()]))


def test_unpaired_values_are_refused() -> None:
    for a, b in ((np.zeros(3), np.zeros(4)), (np.zeros(1), np.zeros(1))):
        with pytest.raises(ValueError, match="paired"):
            compare(a, b)


def test_welch_is_scipys_and_says_nothing_of_seeds_without_spread() -> None:
    a, b = [0.1, 0.2, 0.4], [0.3, 0.5, 0.45, 0.6]
    assert welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert welch([0.2, 0.2], b) == pytest.approx(stats.ttest_1samp(b, 0.2).pvalue) == welch(b, [0.2, 0.2])
    assert welch([0.2, 0.2], [0.3, 0.3]) is None and welch([0.2], b) is None
