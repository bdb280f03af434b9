"""The alias `champion`: the best registered model of a dataset, which only a significantly better one replaces."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur import models
from unblur.data.dataset import Dataset
from unblur.evaluation.measuring import spelled
from unblur.evaluation.ranking import validate
from unblur.evaluation.significance import CONFIDENCE, Comparison, compare
from unblur.files import download
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.registry import Version, challenge_number, champion_of, decide, load_registered, version_of
from unblur.training.workers import on_best_device

LEVEL = 1 - CONFIDENCE
BEGIN_ANEW = "to begin anew, take the alias champion from that one in MLflow"


def mean_per_user(saved: Iterable[str], dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """Every metric on validation of each user (n,), the mean over the models in the places `saved`."""
    found = [_per_user(place, dataset) for place in saved]
    return {name: np.mean([each[name] for each in found], axis=0).astype(np.float32) for name in found[0]}


def challenge(store: Store, uri: str, name: str, metric: str) -> str:
    """Hold the model registered as `uri` against the champion of dataset `name`, once; the decision in a sentence.

    What is held against each other are users' values of `metric` on validation, means over the seeds of each, as they
    were registered; the test set has no say. The best of many seeds or searches is better on the users that it was
    chosen by: hence the means, and the k-th challenge is decided at LEVEL / (k (k + 1)). However many follow, these sum
    to less than LEVEL, the chance that a champion ever falls to one that is no better.
    """
    challenger = version_of(store, uri)
    if names.CHAMPION in challenger.tags:
        return challenger.tags[names.CHAMPION]
    crowned, decision = _verdict(store, challenger, champion_of(store, name), metric)
    decide(store, uri, decision, crowned)
    return decision


def expect_champion(store: Store, name: str, dataset: Dataset) -> str | None:
    """Look for the champion that a model of these data will be held against, before anything is trained.

    UserError when its files are gone; a sentence when it is of other data, so that nobody will be held against it.
    """
    champion = champion_of(store, name)
    if champion is None:
        return None
    if champion.tags.get(names.DATASET_DIGEST) == dataset.digest:
        load_registered(store, champion.uri)
        return None
    digest = champion.tags.get(names.DATASET_DIGEST, "unknown")[:12]
    return (
        f"the champion {champion.uri} is of other data than these (digest {digest}): models of these are registered "
        "beside it, and not held against it"
    )


def _verdict(store: Store, new: Version, old: Version | None, metric: str) -> tuple[bool, str]:
    if old is None:
        return True, "it is the champion, the first of this dataset"
    name = f"{old.uri} ({old.tags.get(names.MODEL, 'unknown')})"
    if old.tags.get(names.DATASET_DIGEST) != new.tags.get(names.DATASET_DIGEST):
        return False, f"it was not held against the champion {name}, which was trained on other data; {BEGIN_ANEW}"
    challenger, champion = (load_registered(store, each.uri) for each in (new, old))
    if champion.per_user is None or challenger.per_user is None:
        return False, (
            f"it was not held against the champion {name}, as users' values on validation were not registered with "
            f"both; {BEGIN_ANEW}"
        )
    if metric not in champion.per_user or metric not in challenger.per_user:
        return False, (
            f"it does not become the champion: {spelled(metric)} has no value of each user's, so no difference to "
            f"{name} could be called significant"
        )
    number = challenge_number(store, challenger.uri)
    mine, theirs = (each[metric].astype(np.float64) for each in (challenger.per_user, champion.per_user))
    found = corrected(compare(mine, theirs), number)
    crowned = found.significant and found.difference > 0
    seeds = " and ".join(each.tags.get(names.SEEDS, "?") for each in (challenger, champion))
    what = f"{spelled(metric)} on validation, means over {seeds} seed(s),"
    return crowned, _sentence(found, crowned, name, what, number)


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
