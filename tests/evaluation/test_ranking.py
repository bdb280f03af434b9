"""Ranking: what may be recommended, in which order, to whom, and independence of everything that must not matter."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix, random_array
from torch import Tensor, nn

from unblur.data.dataset import Dataset, History
from unblur.errors import UserError
from unblur.evaluation import ranking

N_USERS, N_ITEMS = 50, 80


class Fixed:
    """Scores that are written down beforehand, and a note of which histories were asked about."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = torch.from_numpy(scores)
        self.seen: list[History] = []

    def score(self, history: History, users: np.ndarray) -> Tensor:
        self.seen.append(history)
        return self.scores[users]


def parts(seed: int = 0) -> tuple[Dataset, csr_matrix]:
    """A split and its test matrix: every entry in exactly one of them, some users without held-out items."""
    rng = np.random.default_rng(seed)
    part = rng.choice(4, p=[0.7, 0.2, 0.05, 0.05], size=(N_USERS, N_ITEMS))
    part[:5] = np.minimum(part[:5], 1)
    train, valid, test = (csr_matrix((part == i).astype(np.float32)) for i in (1, 2, 3))
    users, items = (np.arange(n).astype(np.str_) for n in part.shape)
    return Dataset(train, valid, None, None, users, items, "digest"), test


def noise(seed: int = 0, levels: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (N_USERS, N_ITEMS)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.sampled_from([2, 5, 1000]), st.integers(0, 5))
def test_top_k_orders_by_score_then_item(k: int, levels: int, seed: int) -> None:
    scores = noise(seed, levels)
    values, items = ranking.top_k(torch.from_numpy(scores), k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert_array_equal(items.numpy(), expected)
    assert_array_equal(values.numpy(), np.take_along_axis(scores, expected, 1))


@pytest.mark.parametrize("free", [0, 2**20, 2**40])
def test_blocks_shrink_with_the_free_memory_and_cover_everyone(free: int) -> None:
    blocks = list(ranking._blocks(1000, 50_000, free))
    assert [user for block in blocks for user in range(block.start, block.stop)] == list(range(1000))
    tallest = max(block.stop - block.start for block in blocks)
    assert tallest == max(1, min(ranking.SCORE_BYTES, free // 16) // (4 * 50_000))


@pytest.mark.parametrize("rows", [1, 7, 49, 1000])
def test_block_size_does_not_matter(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, test = parts()
    model = Fixed(noise(levels=10))
    whole = ranking.final(model, dataset, test)
    monkeypatch.setattr(ranking, "SCORE_BYTES", rows * 4 * ranking.NARROWEST)
    blocks = ranking.final(model, dataset, test)
    assert_array_equal(whole.items, blocks.items)
    assert_array_equal(whole.hits, blocks.hits)


def test_hits_and_candidates_agree_with_a_loop_over_users() -> None:
    dataset, test = parts()
    scores = noise()
    result = ranking.final(Fixed(scores), dataset, test)
    known = (dataset.train + dataset.valid).toarray() > 0
    for row, user in enumerate(result.users):
        candidates = [i for i in np.argsort(-scores[user], kind="stable") if not known[user, i]][:20]
        assert list(result.items[row]) == candidates
        assert list(result.hits[row]) == [test[user, i] > 0 for i in candidates]
    assert_array_equal(result.n_relevant, np.diff(test.indptr)[result.users])


def test_valid_items_are_candidates_at_validation_only() -> None:
    dataset, test = parts()
    model = Fixed(dataset.valid.toarray() + 2 * dataset.train.toarray())
    validation = ranking.validate(model, dataset)
    assert validation.metrics()["ndcg_at_20"] == 1
    assert (model.seen[0].matrix != dataset.train[validation.users]).nnz == 0, "no model sees what it is to find"
    result = ranking.final(model, dataset, test)
    known = (dataset.train + dataset.valid).toarray()
    assert not known[result.users[:, None], result.items].any()


def test_history_option_changes_the_input_not_the_candidates() -> None:
    dataset, test = parts()
    short, long = Fixed(noise()), Fixed(noise())
    first = ranking.final(short, dataset, test, history="train")
    second = ranking.final(long, dataset, test, history="train+valid")
    assert_array_equal(first.items, second.items)
    assert (short.seen[0].matrix != dataset.train[first.users]).nnz == 0
    assert (long.seen[0].matrix != (dataset.train + dataset.valid)[first.users]).nnz == 0


def test_what_is_shown_changes_the_input_and_neither_users_nor_candidates() -> None:
    dataset, test = parts()
    dataset = replace(dataset, train_rank=by_item(dataset.train), valid_rank=by_item(dataset.valid))
    scores = noise()
    whole = ranking.validate(Fixed(scores), dataset)
    tested = ranking.final(Fixed(scores), dataset, test, "train+valid")
    for newest in (0, 2):
        model = Fixed(scores)
        assert_array_equal(ranking.validate(model, dataset, newest=newest).items, whole.items)
        assert_array_equal(ranking.final(model, dataset, test, "train+valid", newest).items, tested.items)
        valid, history = (each.matrix for each in model.seen)
        assert_array_equal(np.diff(valid.indptr), np.minimum(np.diff(dataset.train.indptr), newest)[whole.users])
        assert_array_equal(history.toarray(), last(dataset.known(with_valid=True), newest)[tested.users])


def by_item(matrix: csr_matrix) -> np.ndarray:
    """Ranks as if items had been met in the order of their ids."""
    return np.concatenate([np.arange(length) for length in np.diff(matrix.indptr)]).astype(np.int32)


def last(history: History, count: int) -> np.ndarray:
    """What is left of each row of `history`."""
    assert history.rank is not None
    left = np.zeros(history.matrix.shape)
    for user, (start, end) in enumerate(pairwise(history.matrix.indptr)):
        for place in range(start, end):
            left[user, history.matrix.indices[place]] = history.rank[place] >= end - start - count
    return left


def test_what_is_hidden_is_recommended_neither_at_validation_nor_at_the_test() -> None:
    dataset, test = parts()
    hidden = csr_matrix((test + dataset.valid + dataset.train).toarray() == 0, dtype=np.float32)
    dataset = replace(dataset, hidden=hidden)
    for found in (ranking.validate(Fixed(noise()), dataset), ranking.final(Fixed(noise()), dataset, test)):
        rows, places = np.nonzero(found.items >= 0)
        assert not hidden[found.users[rows], found.items[rows, places]].any()


def test_users_without_held_out_items_are_skipped() -> None:
    dataset, _ = parts()
    everyone = ranking.validate(Fixed(noise()), dataset)
    assert_array_equal(everyone.users, np.flatnonzero(np.diff(dataset.valid.indptr)))
    some = ranking.validate(Fixed(noise()), dataset, users=np.array([40, 0, 20]))
    assert_array_equal(some.users, [40, 20])
    assert_array_equal(some.items, everyone.items[np.searchsorted(everyone.users, [40, 20])])
    with pytest.raises(UserError, match="nothing to evaluate"):
        ranking.validate(Fixed(noise()), dataset, users=np.arange(5))


def test_a_user_with_few_candidates_gets_a_short_list() -> None:
    exclude = csr_matrix(np.array([[1, 1, 0, 1, 0]], dtype=np.float32))
    model = Fixed(np.array([[5, 4, 3, 2, 1]], dtype=np.float32))
    history = History(csr_matrix((1, 5), dtype=np.float32), None)
    items = ranking.rank(model, history, exclude, np.array([0]), k=20)
    assert_array_equal(items[0], [2, 4] + [-1] * 18)


def test_no_item_is_no_hit() -> None:
    truth = csr_matrix(np.array([[0, 0, 1], [1, 0, 0]], dtype=np.float32))
    hits = ranking.hits_of(np.array([[2, 0, -1], [-1, -1, 0]]), truth)
    assert_array_equal(hits, [[True, False, False], [False, False, True]])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_hits_of_random_lists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = csr_matrix(random_array((6, 9), density=0.4, rng=rng))
    items = rng.integers(0, 9, (6, 20))
    assert_array_equal(ranking.hits_of(items, truth), truth.toarray()[np.arange(6)[:, None], items] != 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_broken_model_gets_no_metric(value: float) -> None:
    dataset, _ = parts()
    scores = noise()
    scores[30, 7] = value
    with pytest.raises(ranking.ScoresNotFinite):
        ranking.validate(Fixed(scores), dataset)


def test_scores_of_the_wrong_shape_are_refused() -> None:
    dataset, _ = parts()
    with pytest.raises(ValueError, match="shape"):
        ranking.validate(Fixed(noise()[:, :-1]), dataset)


def test_the_models_own_tensor_is_left_alone() -> None:
    dataset, _ = parts()
    model = Fixed(noise())
    ranking.validate(model, dataset, users=np.arange(N_USERS))
    assert_array_equal(model.scores.numpy(), noise())


class Dropping(nn.Module):
    """A network that would answer noise in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(N_ITEMS, N_ITEMS)

    def score(self, history: History, users: np.ndarray) -> Tensor:
        return nn.functional.dropout(self.layer(torch.from_numpy(history.matrix.toarray())), 0.5, self.training)


def test_networks_are_evaluated_in_evaluation_mode_and_put_back() -> None:
    dataset, _ = parts()
    model = Dropping().train()
    assert_array_equal(ranking.validate(model, dataset).items, ranking.validate(model, dataset).items)
    assert model.training
