"""Metrics against hand-computed values, a naive reference, and the figures of DiffRec's own code."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from unblur.errors import UserError
from unblur.evaluation import metrics


def naive(row: list[bool], n_relevant: int, k: int) -> dict[str, float]:
    """One user's metrics, written as the definitions are read."""
    positions = [i for i in range(k) if row[i]]
    dcg = sum(1 / math.log2(i + 2) for i in positions)
    ideal = sum(1 / math.log2(i + 2) for i in range(min(n_relevant, k)))
    return {
        "precision": len(positions) / k,
        "recall": len(positions) / n_relevant if n_relevant else 0.0,
        "ndcg": dcg / ideal if n_relevant else 0.0,
        "mrr": 1 / (positions[0] + 1) if positions else 0.0,
    }


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=20, max_size=20), st.integers(0, 30)), min_size=1))
def test_agrees_with_a_naive_reference(users: list[tuple[list[bool], int]]) -> None:
    rows = [(row, sum(row) + missed) for row, missed in users]
    hits, n_relevant = np.array([row for row, _ in rows]), np.array([n for _, n in rows])
    values = metrics.all_metrics(hits, n_relevant)
    for k in metrics.CUTOFFS:
        for user, (row, n) in enumerate(rows):
            for name, expected in naive(row, n, k).items():
                assert_allclose(values[f"{name}_at_{k}"][user], expected, rtol=1e-12)


def test_hand_computed_user() -> None:
    hits = np.zeros((1, 20), dtype=bool)
    hits[0, [1, 3]] = True
    values = {name: value[0] for name, value in metrics.all_metrics(hits, np.array([3])).items()}
    assert values["precision_at_5"] == 0.4
    assert values["recall_at_5"] == pytest.approx(2 / 3)
    assert values["mrr_at_5"] == 0.5
    assert values["mrr_at_1"] == 0
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert values["ndcg_at_5"] == pytest.approx(expected)


def test_perfect_ranking_has_ndcg_one_at_every_cutoff() -> None:
    n_relevant = np.array([1, 3, 20, 50])
    hits = np.arange(20)[None, :] < n_relevant[:, None]
    values = metrics.all_metrics(hits, n_relevant)
    for k in metrics.CUTOFFS:
        assert_allclose(values[f"ndcg_at_{k}"], 1)


def test_average_leaves_out_users_without_held_out_items() -> None:
    assert metrics.average({"x": np.array([0.5, 0.0, 1.0])}, np.array([2, 0, 1])) == {"x": 0.75}
    with pytest.raises(ValueError, match="no user"):
        metrics.average({"x": np.zeros(2)}, np.zeros(2, dtype=int))


def test_too_narrow_hits_are_refused() -> None:
    with pytest.raises(ValueError, match="10 wide"):
        metrics.all_metrics(np.zeros((1, 10), dtype=bool), np.array([1]))


def test_metric_names() -> None:
    assert metrics.parse_metric("ndcg@10") == "ndcg_at_10"
    with pytest.raises(UserError, match="Did you mean 'ndcg@10'"):
        metrics.parse_metric("ncdg@10")
    for wrong in ("ndcg@7", "ndcg", "", "ndcg@010"):
        with pytest.raises(UserError, match="recall@20"):
            metrics.parse_metric(wrong)


def reference() -> Path:
    data = os.environ.get("UNBLUR_DATA_DIR")
    default = Path(data).parent / "reference" if data else Path("nowhere")
    return Path(os.environ.get("UNBLUR_REFERENCE_DIR", default)) / "golden" / "metrics.npz"


@pytest.mark.real_data
@pytest.mark.skipif(not reference().exists(), reason="the reference figures are not here: UNBLUR_REFERENCE_DIR")
def test_reproduces_the_figures_of_diffrecs_code() -> None:
    golden = np.load(reference())
    ends = np.cumsum(golden["truth_len"])
    truth = [golden["truth_flat"][end - n : end] for end, n in zip(ends, golden["truth_len"], strict=True)]
    hits = np.array([np.isin(row, held_out) for row, held_out in zip(golden["predicted"], truth, strict=True)])
    values = metrics.all_metrics(hits, golden["truth_len"])
    for name in metrics.METRICS:
        # DiffRec divides by all users, those without held-out items included
        means = [values[f"{name}_at_{k}"].mean() for k in metrics.CUTOFFS]
        assert_allclose(np.round(means, 4), golden[name], atol=1e-9)
