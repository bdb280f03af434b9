"""The prospective regime: where histories are cut, how both parts weigh, and what can be learned from that."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from tests.helpers.closed_forms import dataset
from tests.helpers.synthetic import chains, communities
from tests.models.test_contract import scores, trained

from unblur import models
from unblur.data.dataset import Dataset, History
from unblur.errors import UserError
from unblur.models.batching import epoch_rng
from unblur.pairings.earlier_later import Config, Pairing

UNORDERED = replace(communities(), train_rank=None, valid_rank=None)


def users_of(*histories: list[int], n_items: int = 6) -> History:
    """Histories given oldest first."""
    ranks = np.zeros((len(histories), n_items), dtype=np.int32)
    for user, items in enumerate(histories):
        ranks[user, items] = np.arange(1, len(items) + 1)
    return History(csr_matrix((ranks > 0).astype(np.float32)), ranks[ranks > 0] - 1)


def written_out(history: History, gamma: float, gamma_future: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Dense x_0 and condition, user by user and item by item; the cuts are drawn for all users at once."""
    x_0, condition = np.zeros(history.matrix.shape), np.zeros(history.matrix.shape)
    drawn = rng.random(history.matrix.shape[0])
    assert history.rank is not None
    for user, share in enumerate(drawn):
        own = slice(*history.matrix.indptr[user : user + 2])
        items = history.matrix.indices[own][np.argsort(history.rank[own])]
        cut = 1 + int(share * (len(items) - 1))
        for distance, item in enumerate(items[:cut][::-1]):
            condition[user, item] = gamma**distance
        for distance, item in enumerate(items[cut:]):
            x_0[user, item] = gamma_future**distance
    return x_0, condition


@pytest.mark.parametrize("gamma_future", [0.0, 0.5, 1.0])
def test_both_parts_are_those_of_a_loop_over_users(gamma_future: float) -> None:
    history = dataset().history()
    for epoch in range(3):
        pairs = Pairing(Config(gamma_future=gamma_future)).divide(history, epoch_rng(0, epoch))
        x_0, condition = written_out(history, 0.7, gamma_future, epoch_rng(0, epoch))
        assert pairs.weights is not None and isinstance(pairs.given, History)
        assert_allclose(pairs.weights.toarray(), x_0, rtol=1e-6)
        assert_allclose(pairs.given.weighted(1, 1, "geometric", 0.7).toarray(), condition, rtol=1e-6)


def test_every_cut_that_leaves_something_on_both_sides_is_as_likely() -> None:
    history = users_of(*[[3, 1, 5, 0]] * 3000)
    pairs = Pairing(Config()).divide(history, np.random.default_rng(0))
    later, earlier = pairs.shown, pairs.given
    assert isinstance(earlier, History)
    counts = np.bincount(np.diff(earlier.matrix.indptr), minlength=5)
    assert counts[0] == counts[4] == 0 and (abs(counts[1:4] - 1000) < 4 * np.sqrt(1000)).all()
    assert_array_equal((later.matrix + earlier.matrix).toarray(), history.matrix.toarray())


def test_who_has_one_item_is_no_example_and_epochs_cut_elsewhere() -> None:
    history = users_of([2], [4, 1], [5, 0, 3, 2], [])
    data = replace(communities(), train=history.matrix, train_rank=history.rank)
    model = models.model_class("prospective_cfg")(models.configure("prospective_cfg", {}, "test"), 4, 6)
    drawn = [next(iter(model.batches(data, epoch))).examples for epoch in range(6)]
    for rows, condition in ((each.rows.to_dense(), each.condition.rows.to_dense()) for each in drawn):
        assert len(rows) == len(condition) == 2
        assert ((rows > 0) ^ (condition > 0)).sum(1).tolist() in ([2, 4], [4, 2])
    assert len({len(each.rows.values()) for each in drawn}) > 1


CUTS = [([4], [1]), ([5], [0, 2, 3]), ([5, 0], [2, 3]), ([5, 0, 3], [2])]


def test_an_encoder_of_ordered_items_is_told_the_earlier_part_in_its_order() -> None:
    history = users_of([4, 1], [5, 0, 3, 2])
    data = replace(communities(), train=history.matrix, train_rank=history.rank)
    config = models.configure("prospective_cfg", {"encoder": "transformer", "embedding_dim": 8}, "test")
    model = models.model_class("prospective_cfg")(config, 2, 6)
    for epoch in range(4):
        rows, condition, *_ = next(iter(model.batches(data, epoch))).examples
        for later, items in zip(rows.to_dense(), condition.tensor.tolist(), strict=True):
            told = [item for item in items if item < 6]
            assert (told, later.nonzero().flatten().tolist()) in CUTS


def test_data_without_order_are_refused_by_recipe_and_part() -> None:
    with pytest.raises(UserError, match="prospective_cfg needs an order in time"):
        trained("prospective_cfg", UNORDERED, epochs=1)
    with pytest.raises(UserError, match="pairing = earlier_later needs an order in time"):
        trained("generative_cfg", UNORDERED, epochs=1, pairing="earlier_later")


def ahead(model: Any, data: Dataset) -> float:
    """Share of users to whom the item after their newest scores more than the one before their oldest."""
    found, history = scores(model, data, list(range(data.n_users))), data.history()
    assert history.rank is not None
    ahead = 0
    for user in range(data.n_users):
        own = slice(*history.matrix.indptr[user : user + 2])
        items = history.matrix.indices[own][np.argsort(history.rank[own])]
        ahead += bool(found[user, (items[-1] + 1) % data.n_items] > found[user, (items[0] - 1) % data.n_items])
    return ahead / data.n_users


LEARNING = {"epochs": 40, "dropout": 0.2}


@pytest.mark.parametrize(
    "params", [{}, {"loss": "multinomial"}, {"loss": "hidden_error"}, {"schedule": "log_variance"}]
)
def test_what_follows_is_learned_from_the_order(params: dict[str, Any]) -> None:
    data = chains(n_users=200)
    assert ahead(trained("prospective_cfg", data, **LEARNING, **params), data) > 0.95


def test_and_from_sets_of_items_it_cannot_be() -> None:
    """On a circle the next item and the one before the oldest are as near to the set."""
    data = chains(n_users=200)
    assert 0.2 < ahead(trained("generative_cfg", data, **LEARNING), data) < 0.8


def test_the_recipe_is_the_papers_network_in_the_generative_regime() -> None:
    config = models.configure("prospective_cfg", {}, "test").model_dump()
    assert (config["pairing"], config["encoder"], config["w_form"]) == ("earlier_later", "bag", "geometric")
    assert (config["noise_scale"], config["t_prime_share"], config["guidance"]) == (1.0, 1.0, "classifier_free")
