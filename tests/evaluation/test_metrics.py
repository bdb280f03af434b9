"""Metrics: promises that every one keeps, hand-computed values, a naive reference, the figures of DiffRec's code."""

import inspect
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from unblur.errors import UserError
from unblur.evaluation import measuring, metrics
from unblur.evaluation.measuring import CUTOFFS, METRICS, key, measure
from unblur.evaluation.metrics import Ranking

N_ITEMS, K = 30, max(CUTOFFS)
NO_UPPER_END = {"novelty", "popularity"}


def made(hits: NDArray[np.bool_], n_relevant: NDArray[np.int64], seed: int = 0) -> Ranking:
    """A ranking with these hits (B, K) and random items; places after the last hit may be empty."""
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(N_ITEMS)[:K] for _ in hits]).reshape(-1, K)
    ends = np.array([rng.integers(row.argmin() if not row.all() else K, K + 1) for row in hits], dtype=int)
    last = np.array([np.flatnonzero(row).max(initial=-1) for row in hits], dtype=int)
    items[np.arange(K) >= np.maximum(ends, last + 1)[:, None]] = -1
    counts = rng.integers(0, 50, N_ITEMS)
    return Ranking(items, hits, n_relevant, counts, 50)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    rows = draw(st.lists(st.tuples(st.integers(0, 2**K - 1), st.integers(0, 10)), min_size=1, max_size=8))
    hits = np.array([[bits >> place & 1 for place in range(K)] for bits, _ in rows], dtype=bool)
    n_relevant = np.array([max(1, row.sum() + missed) for row, (_, missed) in zip(hits, rows, strict=True)])
    ranking = made(hits, n_relevant, draw(st.integers(0, 99)))
    return ranking if (ranking.items[:, 0] >= 0).any() else made(np.ones((1, K), bool), np.array([K]))


def rows(ranking: Ranking, chosen: NDArray[np.int64]) -> Ranking:
    return Ranking(
        ranking.items[chosen],
        ranking.hits[chosen],
        ranking.n_relevant[chosen],
        ranking.counts,
        ranking.n_train_users,
    )


@pytest.mark.parametrize("name", METRICS.names())
class TestEveryMetric:
    """A new metric is held to these by being there."""

    @given(ranking=rankings(), k=st.sampled_from(CUTOFFS))
    def test_a_finite_value_for_each_user_or_one_for_all(self, name: str, ranking: Ranking, k: int) -> None:
        values = METRICS.get(name)(ranking, k)
        assert isinstance(values, float) or values.shape == ranking.n_relevant.shape
        assert np.isfinite(values).all() and np.min(values) >= 0
        if name not in NO_UPPER_END:
            assert np.max(values) <= 1 + 1e-12

    @given(ranking=rankings(), k=st.sampled_from(CUTOFFS), order=st.randoms(use_true_random=False))
    def test_the_order_of_users_is_of_no_account(self, name: str, ranking: Ranking, k: int, order: object) -> None:
        places = list(range(len(ranking.n_relevant)))
        order.shuffle(places)  # type: ignore[attr-defined]
        chosen, metric = np.array(places), METRICS.get(name)
        before, after = metric(ranking, k), metric(rows(ranking, chosen), k)
        assert_allclose(after, before if isinstance(before, float) else before[chosen], rtol=1e-12)

    @given(ranking=rankings(), k=st.sampled_from(CUTOFFS))
    def test_places_beyond_k_are_not_looked_at(self, name: str, ranking: Ranking, k: int) -> None:
        metric, items, hits = METRICS.get(name), ranking.items.copy(), ranking.hits.copy()
        items[:, k:], hits[:, k:] = -1, False
        cut = Ranking(items, hits, ranking.n_relevant, ranking.counts, ranking.n_train_users)
        assert_allclose(metric(cut, k), metric(ranking, k), rtol=1e-12)

    @given(ranking=rankings(), k=st.sampled_from(CUTOFFS), data=st.data())
    def test_what_is_accuracy_does_not_fall_when_a_hit_moves_up(
        self, name: str, ranking: Ranking, k: int, data: st.DataObject
    ) -> None:
        metric, hits = METRICS.get(name), ranking.hits.copy()
        place = data.draw(st.integers(1, K - 1))
        up = hits[:, place] & ~hits[:, place - 1]
        hits[up, place - 1], hits[up, place] = True, False
        better = Ranking(ranking.items, hits, ranking.n_relevant, ranking.counts, ranking.n_train_users)
        assert (np.asarray(metric(better, k)) >= np.asarray(metric(ranking, k)) - 1e-12).all()

    def test_it_is_explained(self, name: str) -> None:
        assert inspect.getdoc(METRICS.get(name)) and METRICS.summary(name).endswith(".")

    def test_it_is_in_every_report(self, name: str) -> None:
        assert key(name, 10) in set(measuring.keys([10])) & set(measuring.keys())


def test_the_metrics_there_are() -> None:
    assert {"precision", "recall", "ndcg", "mrr", "coverage", "novelty", "gini", "popularity"} <= set(METRICS.names())


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
        "map": sum(sum(row[: i + 1]) / (i + 1) for i in positions) / n_relevant if n_relevant else 0.0,
        "hit_rate": float(bool(positions)),
    }


@given(rankings())
def test_agrees_with_a_naive_reference(ranking: Ranking) -> None:
    values = measure(ranking)
    for k in CUTOFFS:
        for user, (row, n) in enumerate(zip(ranking.hits.tolist(), ranking.n_relevant.tolist(), strict=True)):
            for name, expected in naive(row, n, k).items():
                assert_allclose(values[key(name, k)][user], expected, rtol=1e-12)


def test_hand_computed_user() -> None:
    hits = np.zeros((1, K), dtype=bool)
    hits[0, [1, 3]] = True
    values = measuring.means(made(hits, np.array([3])))
    assert values["precision_at_5"] == 0.4
    assert values["recall_at_5"] == pytest.approx(2 / 3)
    assert values["mrr_at_5"] == 0.5
    assert values["mrr_at_1"] == 0
    assert values["map_at_5"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert (values["hit_rate_at_1"], values["hit_rate_at_5"]) == (0, 1)
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert values["ndcg_at_5"] == pytest.approx(expected)


def test_perfect_ranking_has_ndcg_one_at_every_cutoff() -> None:
    n_relevant = np.array([1, 3, 20, 50])
    hits = np.arange(K)[None, :] < n_relevant[:, None]
    values = measure(made(hits, n_relevant))
    for k in CUTOFFS:
        assert_allclose(values[f"ndcg_at_{k}"], 1)


def lists(items: list[list[int]], counts: list[int], n_users: int = 8) -> Ranking:
    shown = np.array(items)
    return Ranking(shown, np.zeros(shown.shape, bool), np.ones(len(shown), int), np.array(counts), n_users)


def test_what_lists_look_like_by_hand() -> None:
    two = lists([[0, 1, 2], [0, 3, -1]], [8, 4, 2, 1, 0])
    assert metrics.coverage(two, 1) == 0.2 and metrics.coverage(two, 3) == 0.8
    assert_allclose(metrics.novelty(two, 2), [(0 + 1) / 2, (0 + 3) / 2])
    assert_allclose(metrics.novelty(lists([[4]], [8, 4, 2, 1, 0]), 1), [3])
    assert_allclose(metrics.popularity(two, 3), [(8 + 4 + 2) / 3, (8 + 1) / 2])
    assert_allclose(metrics.popularity(lists([[-1], [0]], [5]), 1), [0, 5])
    assert metrics.gini(lists([[0, 1], [2, 3]], [1] * 4), 2) == pytest.approx(0)
    assert metrics.gini(lists([[0], [0]], [1] * 4), 1) == pytest.approx(3 / 4)


def test_gini_agrees_with_the_mean_absolute_difference() -> None:
    items = np.random.default_rng(0).integers(0, 7, (30, 5))
    exposure = np.bincount(items.ravel(), minlength=10).astype(float)
    expected = np.abs(exposure[:, None] - exposure).mean() / (2 * exposure.mean())
    assert metrics.gini(lists(items.tolist(), [1] * 10), 5) == pytest.approx(expected)


def test_too_short_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="10 long"):
        measure(lists([list(range(10))], [1] * 10))


def test_metric_names() -> None:
    assert measuring.parse_metric("ndcg@10") == "ndcg_at_10"
    assert measuring.parse_metric("coverage@10") == "coverage_at_10"
    assert {measuring.parse_metric(name) for name in measuring.objectives()} <= set(measuring.keys())
    with pytest.raises(UserError, match="Did you mean 'ndcg@10'"):
        measuring.parse_metric("ncdg@10")
    with pytest.raises(UserError, match="gini@10 describes"):
        measuring.parse_metric("gini@10")
    for wrong in ("ndcg@7", "ndcg", "", "ndcg@010", "measure@10", "Ranking@10"):
        with pytest.raises(UserError, match="recall@20"):
            measuring.parse_metric(wrong)


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
    nothing = np.full_like(golden["predicted"], -1)
    values = measure(Ranking(nothing, hits, golden["truth_len"], np.ones(1, int), 1))
    for name in set(METRICS.names()) & set(golden.files):
        # DiffRec divides by all users, those without held-out items included
        means = [values[key(name, k)].mean() for k in CUTOFFS]
        assert_allclose(np.round(means, 4), golden[name], atol=1e-9)
