"""Beyond-accuracy figures on lists that can be worked out by hand."""

import numpy as np
import pytest

from unblur.evaluation.beyond_accuracy import beyond_accuracy, coverage, gini, novelty, popularity

ITEMS = np.array([[0, 1, 2], [0, 3, -1]])
COUNTS = np.array([8, 4, 2, 1, 0])


def test_coverage_counts_distinct_items_up_to_k() -> None:
    assert coverage(ITEMS, 5, k=1) == 0.2
    assert coverage(ITEMS, 5, k=3) == 0.8


def test_novelty_is_mean_self_information() -> None:
    assert novelty(ITEMS, COUNTS, n_users=8, k=2) == pytest.approx((0 + 1 + 0 + 3) / 4)
    assert novelty(np.array([[4]]), COUNTS, n_users=8, k=1) == 3


def test_popularity_ignores_missing_places() -> None:
    assert popularity(ITEMS, COUNTS, k=3) == pytest.approx((8 + 4 + 2 + 8 + 1) / 5)


def test_gini_is_zero_for_equal_exposure_and_largest_for_one_item() -> None:
    assert gini(np.array([[0, 1], [2, 3]]), 4, k=2) == pytest.approx(0)
    assert gini(np.array([[0], [0]]), 4, k=1) == pytest.approx(3 / 4)


def test_gini_agrees_with_the_mean_absolute_difference() -> None:
    items = np.random.default_rng(0).integers(0, 7, (30, 5))
    exposure = np.bincount(items.ravel(), minlength=10).astype(float)
    expected = np.abs(exposure[:, None] - exposure).mean() / (2 * exposure.mean())
    assert gini(items, 10, k=5) == pytest.approx(expected)


def test_names_say_the_cutoff() -> None:
    assert set(beyond_accuracy(ITEMS, COUNTS, 8, k=3)) == {
        "coverage_at_3",
        "novelty_at_3",
        "gini_at_3",
        "popularity_at_3",
    }
