"""The alias `champion`: the best registered model of a dataset, which only a significantly better one replaces."""

from pathlib import Path

from unblur import models
from unblur.data.dataset import Dataset
from unblur.evaluation.metrics import Values
from unblur.evaluation.ranking import validate
from unblur.evaluation.significance import Comparison, compare
from unblur.experiments.context import Session
from unblur.tracking import names
from unblur.tracking.registry import Registered, champion_of, decide, load_registered
from unblur.training.workers import on_best_device


def challenge(session: Session, uri: str) -> str:
    """Hold the model registered as `uri` against the dataset's champion, once; returns the decision in a sentence.

    Both are scored for the same users on the same validation set, here in the driver, which alone is sure to reach
    the registry; the test set has no say.
    """
    challenger = load_registered(session.store, uri)
    if names.CHAMPION in challenger.tags:
        return challenger.tags[names.CHAMPION]
    champion = champion_of(session.store, session.dataset_name)
    crowned, said = _verdict(session, challenger, champion)
    decide(session.store, uri, said, crowned)
    return said


def _verdict(session: Session, challenger: Registered, champion: Registered | None) -> tuple[bool, str]:
    if champion is None:
        return True, "it is the champion, the first of this dataset"
    name = f"{champion.uri} ({champion.tags.get(names.MODEL, 'unknown')})"
    if champion.tags.get(names.DATASET_DIGEST) != session.dataset.digest:
        return False, (
            f"it was not held against the champion {name}, which was trained on other data; "
            "to begin anew, take the alias champion from that one in MLflow"
        )
    metric = session.plan.metric
    mine, theirs = (_per_user(each.folder, session.dataset).get(metric) for each in (challenger, champion))
    if mine is None or theirs is None:
        return False, (
            f"it does not become the champion: {session.options.metric} has no value of each user's, so no difference "
            f"to {name} could be called significant"
        )
    found = compare(mine, theirs)
    crowned = found.significant and found.difference > 0
    return crowned, _sentence(found, crowned, name, session.options.metric)


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
