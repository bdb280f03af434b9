"""Models of the order in time against brute force: all pairs of earlier and later parts, written out row by row."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.helpers.closed_forms import N_ITEMS, chain, dataset, fitted, scores

from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.models.closed_form._directed import directed_sums, geometric, next_alone, sequences

MANY = 1000
Weights = Callable[[int], float]


def power(base: float) -> Weights:
    return lambda distance: base**distance


def pairs(data: Dataset, earlier: Weights, later: Weights) -> tuple[np.ndarray, np.ndarray]:
    """S and T (rows, n_items): every cut of every user, item by item."""
    before, after = [], []
    for items in sequences(data.history()):
        for cut in range(1, len(items)):
            s, t = np.zeros(N_ITEMS), np.zeros(N_ITEMS)
            for position, item in enumerate(items):
                if position < cut:
                    s[item] = earlier(cut - 1 - position)
                else:
                    t[item] = later(position - cut)
            before.append(s)
            after.append(t)
    return np.array(before), np.array(after)


def columns_solved_alone(x: np.ndarray, y: np.ndarray, weights: np.ndarray, l2: float, free: bool) -> np.ndarray:
    """Each column of y regressed on x with ridge l2 and row weights, by itself, without the item's own column."""
    b = np.zeros((N_ITEMS, N_ITEMS))
    for j in range(N_ITEMS):
        used = np.arange(N_ITEMS) if free else np.delete(np.arange(N_ITEMS), j)
        a = x[:, used] * np.sqrt(weights)[:, None]
        stacked = np.vstack([a, np.sqrt(l2) * np.eye(len(used))])
        target = np.concatenate([y[:, j] * np.sqrt(weights), np.zeros(len(used))])
        b[used, j] = np.linalg.lstsq(stacked, target, rcond=None)[0]
    return b


def test_sequences_are_the_histories_in_time_order() -> None:
    data = dataset()
    found = list(sequences(data.history()))
    assert data.train_rank is not None
    expected = []
    for start, end in zip(data.train.indptr[:-1], data.train.indptr[1:], strict=True):
        if end - start > 1:
            expected.append(data.train.indices[start:end][np.argsort(data.train_rank[start:end])])
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("earlier", "later", "spelt"),
    [
        (geometric(0.7), geometric(0.4), (power(0.7), power(0.4))),
        (geometric(1.0), geometric(0.0), (power(1.0), power(0.0))),
        (geometric(0.5), next_alone, (power(0.5), power(0.0))),
    ],
)
def test_sums_are_those_of_the_written_out_pairs(earlier: Any, later: Any, spelt: tuple[Weights, Weights]) -> None:
    s, t = pairs(dataset(), *spelt)
    sums = directed_sums(dataset().history(), earlier, later, MANY, with_tt=True)
    assert sums.cuts == len(s) and sums.tt is not None
    for found, expected in ((sums.ss, s.T @ s), (sums.st, s.T @ t), (sums.tt, t.T @ t), (sums.t, t.sum(axis=0))):
        assert_allclose(found, expected, atol=1e-10)


def test_few_cuts_are_spread_over_the_history() -> None:
    """Two cuts a user: after the first item, and before the last."""
    data, cut_at = dataset(), np.zeros(N_ITEMS)
    sums = directed_sums(data.history(), next_alone, next_alone, cuts=2)
    for items in sequences(data.history()):
        for cut in {1, len(items) - 1}:
            cut_at[items[cut - 1]] += 1
    assert_allclose(np.diag(sums.ss), cut_at)
    assert sums.cuts == cut_at.sum()


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
def test_slist_solves_each_column_as_ridge_regression_without_the_item_itself(a: float) -> None:
    data, (s, t) = dataset(), pairs(dataset(), power(0.8), power(0.6))
    x = data.history().weighted(1, 1, "geometric", 0.8).toarray()
    weights = np.concatenate([np.full(len(x), a), np.full(len(s), 1 - a)])
    expected = columns_solved_alone(np.vstack([x, s]), np.vstack([x, t]), weights, 3.0, free=False)
    found = fitted("slist", data, a=a, gamma=0.8, gamma_future=0.6, l2=3.0, cuts=MANY).matrix
    assert_allclose(found, expected, atol=1e-6)


def test_edlae_solves_each_column_with_the_ridge_that_dropout_amounts_to() -> None:
    data, b = dataset(), fitted("edlae", dataset(), dropout=0.4, l2=2.0).matrix
    x = data.train.toarray().astype(np.float64)
    penalty = 0.4 / 0.6 * np.diag(x.T @ x) + 2.0
    for j in (0, 7, 20):
        others = np.delete(np.arange(N_ITEMS), j)
        a = x[:, others]
        solution = np.linalg.solve(a.T @ a + np.diag(penalty[others]), a.T @ x[:, j])
        assert_allclose(b[others, j], solution, atol=1e-6)


def test_edlae_is_what_regression_on_corrupted_histories_converges_to() -> None:
    """Each item from what dropout leaves of the others, scaled up by what it leaves (Steck 2020, section 3)."""
    p, copies, rng = 0.4, 3000, np.random.default_rng(0)
    x = dataset().train.toarray().astype(np.float64)
    gram, target = np.zeros((N_ITEMS, N_ITEMS)), np.zeros((N_ITEMS, N_ITEMS))
    for _ in range(copies):
        kept = x * (rng.random(x.shape) >= p) / (1 - p)
        gram += kept.T @ kept / copies
        target += kept.T @ x / copies
    found = fitted("edlae", dataset(), dropout=p, l2=1.0).matrix
    for j in (1, 4):
        others = np.delete(np.arange(N_ITEMS), j)
        solution = np.linalg.solve(gram[np.ix_(others, others)] + np.eye(N_ITEMS - 1), target[others, j])
        assert_allclose(found[others, j], solution, atol=0.01)


@pytest.mark.parametrize("popularity", [0.0, -0.5])
def test_tale_solves_each_next_item_as_ridge_regression(popularity: float) -> None:
    data, (s, t) = dataset(), pairs(dataset(), lambda d: max(0.5**d, 0.2), power(0.0))
    scale = np.maximum(data.train.toarray().sum(axis=0), 1) ** popularity
    expected = columns_solved_alone(s * scale, t * scale, np.ones(len(s)), 5.0, free=True)
    model = fitted("tale", data, l2=5.0, gamma_source=0.5, floor=0.2, popularity=popularity, cuts=MANY)
    assert_allclose(model.matrix, expected, atol=1e-6)


def test_markov_chain_counts_what_directly_follows() -> None:
    data, smoothing = dataset(), 3.0
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for items in sequences(data.history()):
        for i, j in pairwise(items):
            counts[i, j] += 1
    users = data.train.toarray().sum(axis=0)
    p = (counts + smoothing * users / users.sum()) / (counts.sum(axis=1, keepdims=True) + smoothing)
    last_alone = scores(fitted("markov_chain", data, gamma=0.0, smoothing=smoothing), data)
    for user in (0, 5):
        items = data.history().rows(np.array([user]))
        assert items.rank is not None
        newest = items.matrix.indices[items.rank.argmax()]
        assert_allclose(last_alone[user], p[newest], rtol=1e-5)
    mixed = scores(fitted("markov_chain", data, gamma=0.6, smoothing=smoothing), data)
    assert_allclose(mixed, data.history().weighted(1, 1, "geometric", 0.6) @ p, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("l2", [5.0, 300.0])
@pytest.mark.parametrize(
    ("name", "params", "ease"),
    [
        ("edlae", {"dropout": 0.0}, {}),
        ("slist", {"a": 1.0, "gamma": 1.0}, {}),
        ("slist", {"a": 1.0, "gamma": 0.7}, {"w_form": "geometric", "gamma": 0.7}),
    ],
)
def test_degenerate_cases_are_ease(name: str, params: dict[str, Any], ease: dict[str, Any], l2: float) -> None:
    found, expected = fitted(name, dataset(), l2=l2, **params).matrix, fitted("ease", dataset(), l2=l2, **ease).matrix
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["slist", "tale", "markov_chain", "gaussian_cfg"])
def test_without_an_order_they_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="order"):
        fitted(name, dataset(ordered=False))


@pytest.mark.parametrize("name", ["slist", "gaussian_cfg"])
def test_directions_are_told_apart(name: str) -> None:
    """Users go through items u, u + 1, u + 2, u + 3 of a circle: next is u + 4, and not u - 1, which is as near."""
    data = chain()
    found = scores(fitted(name, data, a=0.0, gamma=0.5, gamma_future=0.5, l2=1.0), data)
    users = np.arange(data.n_users)
    assert_array_equal(found.argmax(axis=1), (users + 4) % N_ITEMS)
