"""Closed-form baselines against their definitions, written naively on small matrices."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.helpers.closed_forms import N_ITEMS, N_USERS, dataset, fitted, scores

from unblur.errors import UserError
from unblur.models import load, model_class, names
from unblur.models.base import ClosedFormRecommender
from unblur.models.closed_form._linear import gram, inverse, nearest
from unblur.models.recency import RecencyConfig

CLOSED_FORMS = [name for name in names() if issubclass(model_class(name), ClosedFormRecommender)]
# what stands on a model that is trained beforehand has the contract of every model, and tests of its own
BASELINES = [name for name in CLOSED_FORMS if not model_class(name).artefacts(model_class(name).config_class())]


# every baseline


@pytest.mark.parametrize("name", BASELINES)
def test_save_and_load_give_the_same_scores(name: str, tmp_path: Path) -> None:
    data = dataset()
    model = fitted(name, data)
    model.save(tmp_path / name)
    again = load(tmp_path / name)
    assert again.config == model.config
    assert_array_equal(scores(again, data), scores(model, data))


@pytest.mark.parametrize("name", BASELINES)
def test_scores_are_finite_float32_and_depend_on_no_other_user(name: str) -> None:
    data = dataset()
    model = fitted(name, data)
    whole = scores(model, data)
    assert whole.shape == (N_USERS, N_ITEMS)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    some = np.array([59, 3, 17])
    assert_allclose(model.score(data.history().rows(some), some).numpy(), whole[some], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "popularity"])
def test_tastes_are_learned(name: str) -> None:
    data = dataset()
    same = (np.arange(N_USERS - 1)[:, None] % 2) == (np.arange(N_ITEMS - 1) % 2)
    unseen = data.train.toarray()[:-1, :-1] == 0
    values = scores(fitted(name, data), data)[:-1, :-1]
    assert values[same & unseen].mean() > 1.2 * values[~same & unseen].mean()


@pytest.mark.parametrize("name", BASELINES)
def test_footprint_covers_the_parameters_and_grows_with_the_catalogue(name: str, tmp_path: Path) -> None:
    model = fitted(name, dataset())
    model.save(tmp_path)
    assert model.footprint(dataset()) > 4 * N_ITEMS


@pytest.mark.parametrize("name", BASELINES)
def test_another_models_folder_is_refused(name: str, tmp_path: Path) -> None:
    fitted(name, dataset()).save(tmp_path)
    other = next(other for other in BASELINES if other != name)
    with pytest.raises(UserError, match=name):
        model_class(other).load(tmp_path)


@pytest.mark.parametrize("name", [n for n in BASELINES if issubclass(model_class(n).config_class, RecencyConfig)])
@pytest.mark.parametrize("recency", [{"w_min": 0.1}, {"w_form": "geometric", "gamma": 0.5}])
def test_recency_weights_matter_and_need_an_order(name: str, recency: dict[str, Any]) -> None:
    plain, weighted = (scores(fitted(name, dataset(), **params), dataset()) for params in ({}, recency))
    assert np.abs(plain - weighted).max() > 1e-3
    with pytest.raises(UserError, match="order"):
        fitted(name, dataset(ordered=False), **recency)


# one by one


def test_popularity_counts_users() -> None:
    data = dataset()
    values = scores(fitted("popularity", data), data)
    assert_array_equal(values, np.tile(data.train.toarray().sum(axis=0), (N_USERS, 1)))


def test_recent_popularity_counts_the_last_of_each_user() -> None:
    data = dataset()
    values = scores(fitted("popularity", data, recent_share=0.3), data)[0]
    expected = np.zeros(N_ITEMS)
    assert data.train_rank is not None
    for user in range(N_USERS):
        row = slice(*data.train.indptr[user : user + 2])
        by_time = data.train.indices[row][np.argsort(data.train_rank[row])]
        expected[by_time[len(by_time) - int(np.ceil(0.3 * len(by_time))) :]] += 1
    assert_array_equal(values, expected)
    with pytest.raises(UserError, match="order"):
        fitted("popularity", dataset(ordered=False), recent_share=0.3)


@pytest.mark.parametrize("w_min", [1.0, 0.2])
def test_ease_is_its_closed_form(w_min: float) -> None:
    data = dataset()
    x = data.history().weighted(w_min, 1).toarray().astype(np.float64)
    p = np.linalg.inv(x.T @ x + 20 * np.eye(N_ITEMS))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    assert_allclose(scores(fitted("ease", data, l2=20, w_min=w_min), data), x @ b, rtol=1e-4, atol=1e-6)


def test_ease_solves_each_column_as_ridge_regression_without_the_item_itself() -> None:
    data = dataset()
    x, b = data.train.toarray(), fitted("ease", data, l2=5).matrix
    for j in (0, 7):
        others = np.delete(np.arange(N_ITEMS), j)
        a = x[:, others]
        solution = np.linalg.solve(a.T @ a + 5 * np.eye(N_ITEMS - 1), a.T @ x[:, j])
        assert_allclose(b[others, j], solution, atol=1e-5)


def test_item_knn_is_shrunk_cosine_of_the_nearest() -> None:
    data = dataset()
    x = data.train.toarray()
    norms = np.linalg.norm(x, axis=0)
    s = x.T @ x / (np.outer(norms, norms) + 3)
    np.fill_diagonal(s, 0)
    for j in range(N_ITEMS):
        s[np.argsort(-s[:, j], kind="stable")[4:], j] = 0
    found = fitted("item_knn", data, neighbours=4, shrinkage=3).matrix.toarray()
    assert_allclose(np.sort(found, axis=0), np.sort(s, axis=0), rtol=1e-5)


def test_rp3beta_is_a_random_walk() -> None:
    data = dataset()
    x = data.train.toarray().astype(np.float64)
    to_user = (x.T / np.maximum(x.sum(axis=0)[:, None], 1e-12)) ** 0.7
    to_item = (x / np.maximum(x.sum(axis=1)[:, None], 1e-12)) ** 0.7
    w = to_user @ to_item / np.maximum(x.sum(axis=0), 1e-12) ** 0.4
    np.fill_diagonal(w, 0)
    found = fitted("rp3beta", data, neighbours=N_ITEMS, alpha=0.7, beta=0.4).matrix.toarray()
    assert_allclose(found[:-1, :-1], w[:-1, :-1], rtol=1e-4)


def test_slim_meets_the_optimality_conditions_of_the_elastic_net() -> None:
    data = dataset()
    l1, l2 = 1.5, 8.0
    b = fitted("slim", data, l1=l1, l2=l2, iterations=500).matrix.toarray()
    x = data.train.toarray()
    gradient = x.T @ (x @ b - x) + l2 * b + l1
    off = ~np.eye(N_ITEMS, dtype=bool)
    assert (b >= 0).all()
    assert (np.diag(b) == 0).all()
    assert 0.1 < (b[off] > 0).mean() < 0.9
    assert_allclose(gradient[(b > 0) & off], 0, atol=1e-2)
    assert (gradient[(b == 0) & off] > -1e-2).all()


def test_gf_cf_is_the_papers_filter() -> None:
    data = dataset()
    x = data.train.toarray().astype(np.float64)
    users, items = (np.maximum(x.sum(axis=axis), 1e-12) for axis in (1, 0))
    r = x / np.sqrt(users)[:, None] / np.sqrt(items)
    v = np.linalg.svd(r)[2][:3]
    ideal = (items**-0.5)[:, None] * (v.T @ v) * items**0.5
    expected = x @ (r.T @ r + 0.5 * ideal)
    found = scores(fitted("gf_cf", data, factors=3, alpha=0.5), data)
    assert_allclose(found[:, :-1], expected[:, :-1], rtol=1e-3, atol=1e-5)


def test_bspm_sharpens_what_gf_cf_blurs() -> None:
    data = dataset()
    x = data.train.toarray().astype(np.float64)
    users, items = (np.maximum(x.sum(axis=axis), 1e-12) for axis in (1, 0))
    p = (x / users[:, None] / np.sqrt(items)).T @ (x / np.sqrt(items))
    blurred = scores(fitted("gf_cf", data, factors=3, alpha=0.5), data)
    expected = blurred @ np.linalg.matrix_power(np.eye(N_ITEMS) - 0.8 / 4 * p, 4)
    found = scores(fitted("bspm", data, factors=3, alpha=0.5, sharpening=0.8, steps=4), data)
    assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert_array_equal(scores(fitted("bspm", data, factors=3, alpha=0.5, sharpening=0), data), blurred)


@pytest.mark.parametrize("order", [1, 2])
def test_turbo_cf_is_the_papers_polynomial(order: int) -> None:
    data = dataset()
    x = data.train.toarray().astype(np.float64)
    users, items = (np.maximum(x.sum(axis=axis), 1e-12) for axis in (1, 0))
    r = x * users[:, None] ** -0.4 * items**-0.6
    p = (r.T @ r) ** 1.3
    expected = p if order == 1 else 2 * p - p @ p
    found = fitted("turbo_cf", data, alpha=0.4, power=1.3, order=order).matrix
    assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_user_knn_is_a_softmax_over_the_nearest_users(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.models.closed_form.user_knn.ROWS", rows)
    data, k, temperature = dataset(), 9, 0.2
    x = data.history().weighted(0.4, 1).toarray().astype(np.float64)
    found = scores(fitted("user_knn", data, neighbours=k, temperature=temperature, w_min=0.4), data)
    for user in (0, 7):
        cosine = x @ x[user] / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(x[user]), 1e-12)
        nearest = np.argsort(-cosine)[:k]
        weights = np.exp(cosine[nearest] / temperature)
        assert_allclose(found[user], weights / weights.sum() @ x[nearest], rtol=1e-4, atol=1e-6)


# shared parts


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_blocks_do_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.models.closed_form._linear.BLOCK", block)
    x = dataset().train
    assert_array_equal(gram(x), (x.T @ x).toarray())
    a = gram(x, np.float64) + 2 * np.eye(N_ITEMS)
    assert_allclose(inverse(a.copy()), np.linalg.inv(a), atol=1e-10)
    kept = nearest(lambda items: (x[:, items].T @ x).tocsr(), N_ITEMS, 5).toarray()
    assert (np.count_nonzero(kept, axis=0) <= 5).all()
    assert (np.diag(kept) == 0).all()


def test_inverse_refuses_what_is_not_positive_definite() -> None:
    with pytest.raises(UserError, match="larger l2"):
        inverse(np.diag([1.0, -1.0]))
