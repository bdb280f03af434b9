"""The alias `champion`: the best registered model of a dataset, which only a significantly better one replaces."""

from pathlib import Path

from unblur import models
from unblur.data.dataset import Dataset
from unblur.evaluation.metrics import Values
from unblur.evaluation.ranking import validate
from unblur.evaluation.significance import Comparison, compare
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.registry import Registered, champion_of, decide, load_registered
from unblur.training.workers import on_best_device


def challenge(store: Store, uri: str, name: str, dataset: Dataset, metric: str) -> str:
    """Hold the model registered as `uri` against the champion of dataset `name`, once; the decision in a sentence.

    Both are scored by `metric` for the same users on the same validation set, here in the driver, which alone is sure
    to reach the registry; the test set has no say.
    """
    challenger = load_registered(store, uri)
    if names.CHAMPION in challenger.tags:
        return challenger.tags[names.CHAMPION]
    crowned, decision = _verdict(challenger, champion_of(store, name), dataset, metric)
    decide(store, uri, decision, crowned)
    return decision


def _verdict(challenger: Registered, champion: Registered | None, dataset: Dataset, metric: str) -> tuple[bool, str]:
    if champion is None:
        return True, "it is the champion, the first of this dataset"
    name = f"{champion.uri} ({champion.tags.get(names.MODEL, 'unknown')})"
    if champion.tags.get(names.DATASET_DIGEST) != dataset.digest:
        return False, (
            f"it was not held against the champion {name}, which was trained on other data; "
            "to begin anew, take the alias champion from that one in MLflow"
        )
    label = metric.replace("_at_", "@")
    mine, theirs = (_per_user(each.folder, dataset).get(metric) for each in (challenger, champion))
    if mine is None or theirs is None:
        return False, (
            f"it does not become the champion: {label} has no value of each user's, so no difference to {name} could "
            "be called significant"
        )
    found = compare(mine, theirs)
    crowned = found.significant and found.difference > 0
    return crowned, _sentence(found, crowned, name, label)


def _sentence(found: Comparison, crowned: bool, name: str, metric: str) -> str:
    figures = (
        f"{found.difference:+.4f} {metric} on validation over {found.n:,} users "
        f"(95% interval {found.low:+.4f} to {found.high:+.4f}, p = {found.p_t:.3g})"
    )
    if crowned:
        return f"it is the champion: {figures} against the one before it, {name}"
    why = "not significant" if not found.significant else "significantly worse"
    return f"it does not become the champion: {figures} against {name}, {why}"


def _per_user(folder: Path, dataset: Dataset) -> dict[str, Values]:
    """The metrics (B,) of the saved model for every user with a validation item, in the order of users."""
    return validate(on_best_device(models.load(folder)), dataset).per_user()
