"""What every recommender promises; new ones are found by their file."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.models.base import Recommender, TrainableRecommender
from unblur.parts import ORDER
from unblur.training.loop import TrainingSchedule, fit

Quick = Callable[[str], Recommender[Any]]
SMALL: dict[str, Any] = {"dims": (32,), "batch_size": 32, "lr": 0.01, "vae_lr": 0.01, "blocks": 1}
SMALL |= {"of": {"model": "dreamrec", "params": {"embedding_dim": 8, "pairing": "every_place"}}, "epochs": 2}
PARTS = {"space", "encoder", "denoiser", "pairing", "guidance", "loss"}
CHANCE = 5 / 35
"""Recall at 5 of a random ranking of the candidates of `communities`."""
LEARNS_TASTE = [name for name in models.names() if name not in ("popularity", "ridge_head")]
"""All but those that are to rank alike for everybody, and the head on what another model has learned, which are named
here."""


def fitting(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Those of the parameters that the model has, composed as they say."""
    fields = models.config_class(name).model_fields
    composed = models.configure(name, {key: params[key] for key in PARTS & params.keys() & fields.keys()}, "test")
    return {key: value for key, value in params.items() if key in composed.model_dump()}


def trained(name: str, dataset: Dataset, seed: int = 0, epochs: int = 30, **params: Any) -> Recommender[Any]:
    config = models.configure(name, fitting(name, {**SMALL, **params}), "test")
    model = models.model_class(name)(config, dataset.n_users, dataset.n_items, seed)
    fit(model, dataset, TrainingSchedule(epochs=epochs, patience=epochs), lambda _: None)
    return model


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return communities()


@pytest.fixture(scope="module")
def quick(dataset: Dataset) -> Quick:
    """Each model after two epochs, trained once for all tests that only look at it."""
    return cache(lambda name: trained(name, dataset, epochs=2, t_prime_share=1.0))


def scores(model: Recommender[Any], dataset: Dataset, users: list[int]) -> torch.Tensor:
    ids = np.array(users, dtype=np.int64)
    return model.score(dataset.history().rows(ids), ids)


@pytest.mark.parametrize("name", LEARNS_TASTE)
def test_finds_the_groups(name: str, dataset: Dataset) -> None:
    """Nothing but a user's group is to be learned: 5 candidates of it are left, 2 of them held out."""
    model = trained(name, dataset)
    assert validate(model, dataset).metrics()["recall_at_5"] > 5 * CHANCE


@pytest.mark.parametrize("name", models.names())
def test_scores_have_a_shape_and_depend_on_no_block(name: str, dataset: Dataset, quick: Quick) -> None:
    model = quick(name)
    several = scores(model, dataset, [5, 0, 7])
    assert several.shape == (3, dataset.n_items) and several.isfinite().all()
    assert scores(model, dataset, [5, 0, 7]).equal(several), "no dropout, no new noise"
    torch.testing.assert_close(scores(model, dataset, [0])[0], several[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", models.names())
def test_saved_and_loaded_it_is_the_same_model(name: str, dataset: Dataset, quick: Quick, tmp_path: Path) -> None:
    model = quick(name)
    model.save(tmp_path / "model")
    loaded = models.load(tmp_path / "model")
    assert type(loaded) is type(model) and loaded.config == model.config
    torch.testing.assert_close(scores(loaded, dataset, [0, 3]), scores(model, dataset, [0, 3]), rtol=0, atol=0)
    assert not [file for file in (tmp_path / "model").iterdir() if file.suffix in {".pkl", ".pt", ".bin"}]


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("damage", ["config.json", "weights.safetensors"])
def test_a_damaged_folder_is_named(name: str, damage: str, quick: Quick, tmp_path: Path) -> None:
    quick(name).save(tmp_path)
    (tmp_path / damage).write_bytes((tmp_path / damage).read_bytes()[:-20])
    with pytest.raises(UserError, match=str(tmp_path)):
        models.load(tmp_path)


@pytest.mark.parametrize("name", models.names())
def test_a_seed_repeats_and_another_differs(name: str, dataset: Dataset) -> None:
    first, again, other = (scores(trained(name, dataset, seed, epochs=2), dataset, [0, 1]) for seed in (1, 1, 2))
    assert first.equal(again)
    if models.trained_by_gradient(name):
        assert models.model_class(name).RANDOM and not first.equal(other)
    if not models.model_class(name).RANDOM:
        assert first.equal(other)


@pytest.mark.parametrize("name", models.names())
def test_only_models_of_known_users_look_at_who_the_user_is(name: str, dataset: Dataset, quick: Quick) -> None:
    model = quick(name)
    history = dataset.history().rows(np.array([0, 0]))
    first, second = model.score(history, np.array([0, 1]))
    assert first.equal(second) is not model.KNOWN_USERS_ONLY or model.DIFFUSION, "whose noise is the user's own"


@pytest.mark.parametrize("name", [name for name in models.names() if ORDER in models.config_class(name).NEEDS])
def test_order_matters_to_who_needs_one(name: str, dataset: Dataset, quick: Quick) -> None:
    model, history, users = quick(name), dataset.history(), np.arange(dataset.n_users)
    assert history.rank is not None
    lengths = np.diff(history.matrix.indptr)
    backwards = replace(history, rank=np.repeat(lengths, lengths).astype(np.int32) - 1 - history.rank)
    assert not model.score(backwards, users).allclose(model.score(history, users), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in models.names() if models.trained_by_gradient(name)])
def test_every_parameter_learns(name: str, dataset: Dataset, quick: Quick) -> None:
    """In an epoch of a model that has just begun."""
    model = quick(name)
    assert isinstance(model, TrainableRecommender)
    model.train().zero_grad()
    for batch in model.batches(dataset, 1):
        model(batch.examples).sum().backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    model.eval().zero_grad()
    assert not still


@pytest.mark.parametrize("name", models.names())
def test_footprint_is_at_least_the_weights(name: str, dataset: Dataset, quick: Quick) -> None:
    model = quick(name)
    weights = sum(p.numel() for p in model.parameters()) if isinstance(model, torch.nn.Module) else 1
    assert model.footprint(dataset) >= 4 * weights


@pytest.mark.parametrize("name", models.names())
def test_unknown_parameters_are_named_with_the_nearest(name: str) -> None:
    with pytest.raises(UserError, match="unknown parameter 'not_a_parameter'"):
        models.configure(name, {"not_a_parameter": 1}, "--set")


def test_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'cfg_diffrec'"):
        models.config_class("cfg_difrec")


def read_only(dataset: Dataset) -> Dataset:
    """The split as Ray's object store gives it: no array may be written."""
    for matrix in (dataset.train, dataset.valid):
        for array in (matrix.data, matrix.indices, matrix.indptr):
            array.flags.writeable = False
    assert dataset.train_rank is not None
    dataset.train_rank.flags.writeable = False
    return dataset


@pytest.mark.parametrize("name", models.names())
def test_data_in_shared_memory_are_not_written(name: str) -> None:
    dataset = read_only(communities())
    model = trained(name, dataset, epochs=1)
    users = np.arange(dataset.n_users)
    users.flags.writeable = False
    assert model.score(dataset.history(), users).isfinite().all()
