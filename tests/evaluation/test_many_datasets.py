"""Ranks over datasets: published critical values, and ranks with ties by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from unblur.evaluation.many_datasets import critical_difference, datasets_needed, friedman, ranks

TABLE = np.array([[0.3, 0.2, 0.1], [0.5, 0.5, 0.1], [0.2, 0.2, 0.2], [0.1, 0.4, 0.3]])

DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
"""Critical values of the two-tailed Nemenyi test at 0.05, by the number of models (Demsar 2006, table 5a)."""


def test_equal_ones_share_their_places() -> None:
    found = ranks(TABLE)
    assert_allclose(found, [[1, 2, 3], [1.5, 1.5, 3], [2, 2, 2], [3, 1, 2]])
    assert_allclose(found.sum(axis=1), 6)
    assert_allclose(ranks(TABLE * [[1.0], [9.0], [0.1], [3.0]]), found)  # each dataset has a scale of its own


@pytest.mark.parametrize(("models", "critical"), DEMSAR.items())
def test_the_published_critical_values(models: int, critical: float) -> None:
    datasets = 14
    expected = critical * np.sqrt(models * (models + 1) / (6 * datasets))
    assert critical_difference(models, datasets) == pytest.approx(expected, abs=1e-3)


def test_the_worked_example() -> None:
    """Four models on 14 datasets: the critical difference is 1.25 (Demsar 2006, section 3.2.2)."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize("models", [2, 3, 5, 10])
@pytest.mark.parametrize("difference", [1.0, 0.5])
def test_as_many_datasets_as_are_needed_and_no_more(models: int, difference: float) -> None:
    for apart in (difference, models - 1):
        needed = datasets_needed(models, apart)
        assert critical_difference(models, needed) <= apart
        assert needed == 1 or critical_difference(models, needed - 1) > apart
    assert datasets_needed(5, 4) == 3 and datasets_needed(2, 1) == 4 and datasets_needed(5, 1) == 38


def test_friedman_is_scipys_and_says_nothing_of_less_than_three() -> None:
    assert friedman(TABLE) == pytest.approx(stats.friedmanchisquare(*TABLE.T).pvalue)
    assert friedman(np.ones((4, 3))) == 1.0
    assert friedman(TABLE[:, :2]) is None and friedman(TABLE[:1]) is None


def test_one_model_has_nobody_to_differ_from() -> None:
    with pytest.raises(ValueError, match="at least two models and one dataset"):
        critical_difference(1, 5)
