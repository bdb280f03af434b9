"""Scoring on the validation set, for one setting of inference or for the best of a grid of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.evaluation.measuring import CUTOFFS
from unblur.evaluation.ranking import ScoresNotFinite, evaluating, evaluation, rank
from unblur.models.base import Recommender, TrainableRecommender
from unblur.training.workers import Workers

SAMPLE, FINALISTS = 256, 2
"""In each evaluation of a long training all settings of a grid are tried on so many users, the best of them on all."""

Settings = Mapping[str, Any]
Users = NDArray[np.int64]


def sample(dataset: Dataset, size: int | None) -> Users | None:
    """The same `size` users of validation (size,) in every training on these data; None for all, if these are no more.

    UserError when nobody has a validation item.
    """
    users = _users(dataset)
    return None if size is None or size >= len(users) else _drawn(users, size)


def validated(
    model: Recommender[Any], dataset: Dataset, workers: Workers, users: Users | None = None
) -> dict[str, float]:
    """Every validation metric, means over `users` (default: all); each worker ranks its share of them.

    Raises ScoresNotFinite on all workers.
    """
    return _metrics(model, dataset, workers, _users(dataset) if users is None else users)


def best_of(
    grid: Sequence[Settings],
    model: Recommender[Any],
    dataset: Dataset,
    metric: str,
    workers: Workers,
    users: Users | None = None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """The settings of `grid` with the best `metric` on validation, and every metric with them; the model keeps them.
    Of an empty grid there are none, and the model scores as it is.

    What changes inference alone needs no training of its own, so one trained network is scored with all of it: first
    for SAMPLE users, then the FINALISTS for all of `users` (default: everyone). A setting whose scores are not finite
    loses; raises ScoresNotFinite when all do.
    """
    users = _users(dataset) if users is None else users
    if not grid:
        return {}, _metrics(model, dataset, workers, users)
    with evaluating(model):
        if len(grid) > FINALISTS:
            first = _drawn(users, SAMPLE)
            values = [_tried(settings, model, dataset, workers, first).get(metric, -np.inf) for settings in grid]
            grid = [grid[place] for place in np.argsort(-np.array(values), kind="stable")[:FINALISTS]]
        found = [_tried(settings, model, dataset, workers, users) for settings in grid]
    return _kept(grid, found, metric, model)


def best_of_all(
    grid: Sequence[Settings], model: Recommender[Any], dataset: Dataset, metric: str, workers: Workers
) -> tuple[dict[str, Any], dict[str, float], list[dict[str, Any]]]:
    """As `best_of`, but every setting is tried on everyone; and all of them as `sweep` gives them."""
    if not grid:
        return {}, _metrics(model, dataset, workers, _users(dataset)), []
    found = _each(grid, model, dataset, workers)
    return *_kept(grid, found, metric, model), _rows(grid, found)


def sweep(
    grid: Sequence[Settings], model: Recommender[Any], dataset: Dataset, workers: Workers
) -> list[dict[str, Any]]:
    """All settings of `grid`, each with every metric on validation of everyone: `{**settings, **metrics}`.

    The metrics of one whose scores are not finite are missing. The model is left with the last.
    """
    return _rows(grid, _each(grid, model, dataset, workers))


def _each(
    grid: Sequence[Settings], model: Recommender[Any], dataset: Dataset, workers: Workers
) -> list[dict[str, float]]:
    users = _users(dataset)
    with evaluating(model):
        return [_tried(settings, model, dataset, workers, users) for settings in grid]


def _rows(grid: Sequence[Settings], found: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    return [{**settings, **metrics} for settings, metrics in zip(grid, found, strict=True)]


def _kept(
    grid: Sequence[Settings], found: Sequence[dict[str, float]], metric: str, model: Recommender[Any]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The settings that have the best metric among those found, and all of theirs; the model is left with them."""
    best = max(range(len(grid)), key=lambda place: found[place].get(metric, -np.inf))
    if not found[best]:
        raise ScoresNotFinite("the model's scores are not finite with any setting of inference")
    model.infer_with(grid[best])
    return dict(grid[best]), found[best]


def _tried(
    settings: Settings, model: Recommender[Any], dataset: Dataset, workers: Workers, users: Users
) -> dict[str, float]:
    """The metrics with these settings; none where the scores are not finite."""
    model.infer_with(settings)
    try:
        return _metrics(model, dataset, workers, users)
    except ScoresNotFinite:
        return {}


def _users(dataset: Dataset) -> Users:
    users = np.flatnonzero(np.diff(dataset.valid.indptr)).astype(np.int64)
    if not len(users):
        raise UserError("no user has an interaction in the validation set, so nothing can be selected on it")
    return users


def _drawn(users: Users, size: int) -> Users:
    return np.sort(np.random.default_rng(0).permutation(users)[:size])


def _metrics(model: Recommender[Any], dataset: Dataset, workers: Workers, users: Users) -> dict[str, float]:
    """The metrics of `users`, of whom each worker ranks a share: the same numbers as one worker alone would find.

    A worker whose scores are not finite says so to the others, which wait for its recommendations.
    """
    places = slice(workers.rank, None, workers.world)
    broken: ScoresNotFinite | None = None
    items = np.zeros((len(users), max(CUTOFFS)), dtype=np.int64)
    try:
        items[places] = rank(model, dataset.known(), dataset.masked, users[places])
    except ScoresNotFinite as error:
        broken = error
    counted = torch.tensor([float(broken is not None)], dtype=torch.float64, device=_device(model))
    if workers.total(counted).item():
        raise broken or ScoresNotFinite("the model's scores are not finite on another worker")
    everyones = workers.total(torch.from_numpy(items).to(_device(model))).cpu().numpy()
    return evaluation(everyones, dataset, dataset.valid, users).metrics()


def _device(model: Recommender[Any]) -> torch.device:
    return model.device if isinstance(model, TrainableRecommender) else torch.device("cpu")
