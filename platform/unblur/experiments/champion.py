"""The alias `champion`: the best registered model of a dataset, which only a significantly better one replaces."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur import models
from unblur.data.dataset import Dataset
from unblur.data.request import DataRequest
from unblur.evaluation.measuring import spelled
from unblur.evaluation.ranking import validate
from unblur.evaluation.significance import CONFIDENCE, Comparison, compare
from unblur.files import download
from unblur.models.translated import Translated
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.model_package import PerUser
from unblur.tracking.registry import (
    Registered,
    Version,
    challenge_number,
    champion_of,
    decide,
    load_registered,
    version_of,
)
from unblur.training.workers import on_best_device

LEVEL = 1 - CONFIDENCE
LEAST_KNOWN = 0.5
"""Of the items, a champion of other data must know so many to be held against: otherwise it is of something else."""
RULES = frozenset(DataRequest.model_fields) - {"dataset", "strict"}
"""What must be the same for data to be later ones of the same kind."""
BEGIN_ANEW = "to begin anew, take the alias champion from that one in MLflow"


def mean_per_user(saved: Iterable[str], dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """Every metric on validation of each user (n,), the mean over the models in the places `saved`."""
    found = [_per_user(place, dataset) for place in saved]
    return {name: np.mean([each[name] for each in found], axis=0).astype(np.float32) for name in found[0]}


def challenge(store: Store, uri: str, name: str, metric: str, dataset: Dataset) -> str:
    """Hold the model registered as `uri`, of `dataset`, against the champion of its name, once; the decision in a
    sentence.

    What is held against each other are users' values of `metric` on validation, means over the seeds of each, as they
    were registered; the test set has no say. A champion of earlier data is scored on the validation set of these, by
    what is registered of it, one network. The best of many seeds or searches is better on the users that it was
    chosen by: hence the means, and the k-th challenge is decided at LEVEL / (k (k + 1)). However many follow, these sum
    to less than LEVEL, the chance that a champion ever falls to one that is no better.
    """
    challenger = version_of(store, uri)
    if names.CHAMPION in challenger.tags:
        return challenger.tags[names.CHAMPION]
    crowned, decision = _verdict(store, challenger, champion_of(store, name), metric, dataset)
    decide(store, uri, decision, crowned)
    return decision


def expect_champion(store: Store, name: str, dataset: Dataset) -> str | None:
    """Look for the champion that a model of these data will be held against, before anything is trained.

    UserError when its files are gone; a sentence when it is of other data.
    """
    champion = champion_of(store, name)
    if champion is None:
        return None
    load_registered(store, champion.uri)
    digest = champion.tags.get(names.DATASET_DIGEST, "unknown")
    if digest == dataset.digest:
        return None
    return (
        f"the champion {champion.uri} is of other data than these (digest {digest[:12]}): models of these are held "
        "against it on the validation set of these, where they were divided by the same rules"
    )


def _verdict(store: Store, new: Version, old: Version | None, metric: str, dataset: Dataset) -> tuple[bool, str]:
    if old is None:
        return True, "it is the champion, the first of this dataset"
    name = f"{old.uri} ({old.tags.get(names.MODEL, 'unknown')})"
    challenger, champion = (load_registered(store, each.uri) for each in (new, old))
    try:
        mine, theirs = _values(challenger, dataset), _values(champion, dataset, _rules(new.tags))
    except _NotHeld as reason:
        return False, f"it was not held against the champion {name}, {reason}; {BEGIN_ANEW}"
    if metric not in theirs or metric not in mine:
        return False, (
            f"it does not become the champion: {spelled(metric)} has no value of each user's, so no difference to "
            f"{name} could be called significant"
        )
    number = challenge_number(store, challenger.uri)
    found = corrected(compare(mine[metric].astype(np.float64), theirs[metric].astype(np.float64)), number)
    crowned = found.significant and found.difference > 0
    what = f"{spelled(metric)} on validation, {_means(champion, challenger)},"
    return crowned, _sentence(found, crowned, name, what, number)


def _values(model: Registered, dataset: Dataset, rules: Mapping[str, Any] | None = None) -> PerUser:
    """What the users of `dataset`, made by these rules, say of a registered model; _NotHeld where that is unknown."""
    if model.tags.get(names.DATASET_DIGEST) == dataset.digest:
        if model.per_user is None:
            raise _NotHeld("as users' values on validation were not registered with both")
        return model.per_user
    if names.REFITTED_FROM in model.tags:
        raise _NotHeld("which was trained on all of its data, so that nothing could be asked of it")
    if _rules(model.tags) != rules:
        raise _NotHeld("which was trained on other data, filtered or divided by other rules")
    scorer = Translated(on_best_device(models.load(model.folder)), model.items, dataset.items.tolist())
    if scorer.known.mean() < LEAST_KNOWN:
        known = f"{scorer.known.sum():,} of {dataset.n_items:,} items"
        raise _NotHeld(f"which was trained on other data altogether: it knows {known}")
    found = validate(scorer, dataset).per_user()
    return {name: values.astype(np.float32) for name, values in found.items()}


class _NotHeld(Exception):
    """Why two models cannot be held against each other."""


def _rules(tags: Mapping[str, str]) -> dict[str, Any]:
    request = json.loads(tags.get(names.DATA_REQUEST, "{}"))
    return {field: value for field, value in request.items() if field in RULES}


def _means(champion: Registered, challenger: Registered) -> str:
    """Of what the values are, in words."""
    mine, theirs = (each.tags.get(names.SEEDS, "?") for each in (challenger, champion))
    if champion.tags.get(names.DATASET_DIGEST) == challenger.tags.get(names.DATASET_DIGEST):
        return f"means over {mine} and {theirs} seed(s)"
    return f"the mean over {mine} seed(s) and what is registered of the champion, which was trained on earlier data"


def level(number: int) -> float:
    """Of the `number`-th challenge, from 1 on."""
    return LEVEL / (number * (number + 1))


def corrected(found: Comparison, number: int) -> Comparison:
    """The comparison as the `number`-th of any number (Bonferroni, unequal): significant where p < `level(number)`."""
    return replace(found, p_holm=min(1.0, found.p_t * LEVEL / level(number)))


def _sentence(found: Comparison, crowned: bool, name: str, what: str, number: int) -> str:
    figures = (
        f"{found.difference:+.4f} {what} of {found.n:,} users (95% interval {found.low:+.4f} to {found.high:+.4f}, "
        f"p = {found.p_t:.3g}; challenge {number} of this dataset, level {level(number):.2g})"
    )
    if crowned:
        return f"it is the champion: {figures} against the one before it, {name}"
    why = "not significant" if not found.significant else "significantly worse"
    return f"it does not become the champion: {figures} against {name}, {why}"


def _per_user(place: str, dataset: Dataset) -> dict[str, Any]:
    with TemporaryDirectory(prefix="unblur-") as scratch:
        model = models.load(download(place, Path(scratch)))
    return validate(on_best_device(model), dataset).per_user()
