"""Rating-aware training: what is signed, which pairs are compared, and that both teach what they should."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.helpers.networks import ATTENDING
from tests.helpers.synthetic import communities, with_dislikes
from tests.models.test_contract import SMALL, trained

from unblur import models
from unblur.data.dataset import Dataset
from unblur.denoisers import DENOISERS
from unblur.diffusion.triplets import triplet_losses, triplets
from unblur.errors import UserError
from unblur.nn.sparse import from_scipy

PLAIN = communities()
RATED = with_dislikes(PLAIN)
MEMBERS = [name for name in models.names() if "dislike_weight" in models.config_class(name).model_fields]
MEMBERS = [name for name in MEMBERS if getattr(models.configure(name, {}, "test"), "space", "") != "item_embeddings"]
WEIGHTS = [{"dislike_weight": 0.5}, {"triplet_weight": 0.5}]
CPU = torch.device("cpu")


def test_the_whole_family_knows_them() -> None:
    assert {"diffrec", "t_diffrec", "l_diffrec", "lt_diffrec", "cfg_diffrec", "generative_cfg"} <= set(MEMBERS)


def test_signed_rows_hold_weighted_hits_and_negative_dislikes() -> None:
    history = RATED.history()
    signed = history.signed(history.weighted(0.0, 1.0), 0.3)
    assert signed.nnz == RATED.train.nnz + RATED.disliked.nnz, "a hit of weight 0 is still a hit"
    expected = history.weighted(0.0, 1.0).toarray() - 0.3 * RATED.disliked.toarray()
    np.testing.assert_allclose(signed.toarray(), expected, rtol=1e-6)
    assert history.signed(RATED.train, 0.0) is RATED.train


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("params", WEIGHTS)
def test_data_without_low_ratings_are_refused_by_the_parameters_name(name: str, params: dict[str, float]) -> None:
    (parameter,) = params
    with pytest.raises(UserError, match=rf"{parameter} = 0.5 needs ratings too low for a hit.*--min-rating"):
        trained(name, PLAIN, epochs=1, **params)


@pytest.mark.parametrize("name", MEMBERS)
def test_off_they_change_nothing(name: str) -> None:
    users = np.arange(4)
    plain, rated = (
        trained(name, dataset, epochs=2).score(dataset.history().rows(users), users) for dataset in (PLAIN, RATED)
    )
    assert plain.equal(rated)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("loss", ["squared_error", "multinomial"])
def test_a_disliked_item_is_recommended_less_than_others_of_the_group(name: str, loss: str) -> None:
    params = {"dislike_weight": 1.0, "triplet_weight": 5.0, "dropout": 0.2}
    if "loss" in models.config_class(name).model_fields and not name.startswith("l"):
        params["loss"] = loss  # type: ignore[assignment]
    elif loss == "multinomial":
        pytest.skip("its loss is its own")
    assert gap(trained(name, RATED, epochs=30, **params)) > untold(name) + 0.2, "in deviations of the user's scores"


@cache
def untold(name: str) -> float:
    """The gap of a model that is told of no dislikes."""
    return gap(trained(name, PLAIN, epochs=30))


def gap(model: models.Recommender) -> float:
    """How far disliked items are below the two that are in no part either, in deviations of the user's scores."""
    users = np.arange(RATED.n_users)
    history = replace(RATED.history(), disliked=RATED.disliked if model.config.dislike_weight else None)
    scores = model.score(history, users).numpy()
    scores = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
    disliked = RATED.disliked.toarray() > 0
    group = (RATED.train.toarray() @ np.kron(np.eye(4), np.ones((10, 10)))) > 0
    others = group & ~disliked & (RATED.train.toarray() == 0)
    return float(scores[others].mean() - scores[disliked].mean())


@pytest.mark.parametrize("name", MEMBERS)
def test_a_history_that_tells_no_dislikes_is_served_too(name: str) -> None:
    model = trained(name, RATED, epochs=1, dislike_weight=0.5, triplet_weight=0.1)
    users = np.arange(2)
    assert model.score(replace(RATED.history().rows(users), disliked=None), users).isfinite().all()


@pytest.mark.parametrize(("denoiser", "encoder"), ATTENDING)
def test_attention_cannot_take_a_signed_condition(denoiser: str, encoder: str) -> None:
    parts = {"denoiser": denoiser, "encoder": encoder}
    with pytest.raises(UserError, match=f"({denoiser}|{encoder}) attends to items.*take encoder = bag"):
        models.configure("cfg_diffrec", {"dislike_weight": 0.5, **parts}, "--set")
    space = "item_embeddings" if DENOISERS.get(denoiser).Network.OF_ITEMS else "interactions"
    models.configure("cfg_diffrec", {"triplet_weight": 0.5, "space": space, **parts}, "--set")


def test_triplets_pair_every_dislike_with_each_of_the_users_hits_equally_often() -> None:
    rng = np.random.default_rng(0)
    state = rng.integers(-1, 2, (6, 12)) * (rng.random((6, 12)) < 0.7)
    state[:, 0] = 1  # everybody has a hit
    state[3, 1:] = np.maximum(state[3, 1:], 0)  # and one has no dislike
    rows, low = (from_scipy(csr_matrix(part.astype(np.float32)), CPU) for part in (state, (state < 0)))
    torch.manual_seed(0)
    drawn = torch.cat([torch.stack(triplets(rows, low)) for _ in range(300)], dim=1).numpy()
    user, hit, dislike = drawn
    assert (state[user, hit] > 0).all() and (state[user, dislike] < 0).all()
    pairs = np.stack([user, dislike], axis=1)
    assert (np.unique(pairs, axis=0) == np.argwhere(state < 0)).all()
    counts = np.bincount(hit[user == 0], minlength=12)[state[0] > 0]
    assert counts.min() > 0.5 * counts.mean() and counts.max() < 1.5 * counts.mean()


def test_the_triplet_loss_is_a_mean_over_a_users_dislikes_and_zero_without() -> None:
    rows = from_scipy(csr_matrix(np.array([[1, -1, -1, 0], [0, 1, 0, 0]], np.float32)), CPU)
    low = from_scipy(csr_matrix(np.array([[0, 1, 1, 0], [0, 0, 0, 0]], np.float32)), CPU)
    scores = torch.tensor([[1.0, 0.5, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0]])
    expected = (math.log1p(math.exp(0.5 - 1)) + math.log1p(math.exp(2 - 1))) / 2
    found = triplet_losses(scores, rows, low)
    torch.testing.assert_close(found, torch.tensor([expected, 0.0]))


def test_weights_are_refused_below_zero() -> None:
    assert set(SMALL)  # the contract's own parameters stay valid beside these
    for name in ("dislike_weight", "triplet_weight"):
        with pytest.raises(UserError, match=name):
            models.configure("diffrec", {name: -0.1}, "--set")


def test_the_split_says_what_it_is() -> None:
    assert isinstance(RATED, Dataset) and RATED.disliked is not None
    assert RATED.disliked.multiply(RATED.train + RATED.valid).nnz == 0
