"""Artefacts made in this process, models among them trained by the one loop."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from unblur import models
from unblur.data.artefacts import Array, Artefact
from unblur.data.dataset import Dataset
from unblur.models.base import Recommender

Fit = Callable[[Recommender[Any], Dataset, int], object]
"""Trains a model on a dataset for so many epochs."""


def provided(dataset: Dataset, needed: Iterable[Artefact], seed: int, fit: Fit) -> Dataset:
    """The dataset with all artefacts that are needed, those made that it does not have."""
    missing = [each for each in needed if each.name not in dataset.artefacts]
    if not missing:
        return dataset
    return dataset.with_artefacts({each.name: make(each, dataset, seed, fit) for each in missing})


def make(artefact: Artefact, dataset: Dataset, seed: int, fit: Fit) -> Array:
    """The artefact of these data with this seed."""
    return artefact.make(dataset, seed, partial(_trained, dataset, fit))


def _trained(dataset: Dataset, fit: Fit, name: str, params: dict[str, Any], epochs: int, seed: int) -> Recommender[Any]:
    config = models.configure(name, params, f"model {name}")
    model = models.model_class(name)(config, dataset.n_users, dataset.n_items, seed)
    with torch.random.fork_rng(devices=[]):
        fit(model, dataset, epochs)
    return model
