"""Blends of models in closed form, and of others that were trained before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.helpers.closed_forms import dataset, fitted, scores
from tests.helpers.synthetic import chains

from unblur.errors import UserError
from unblur.models import configure, load, model_class
from unblur.training.artefacts import provided
from unblur.training.loop import fit_for

PARTS = [{"model": "ease", "params": {"l2": 5.0}}, {"model": "item_knn"}, {"model": "popularity"}]


def standardised(values: np.ndarray) -> np.ndarray:
    spread = np.maximum(values.std(axis=1, ddof=1, keepdims=True), 1e-12)
    return (values - values.mean(axis=1, keepdims=True)) / spread


def test_scores_are_the_weighted_sum_of_the_parts_standardised() -> None:
    data = dataset()
    weights = (0.5, 2.0, 0.25)
    expected = np.zeros((data.n_users, data.n_items))
    for weight, part in zip(weights, PARTS, strict=True):
        expected += weight * standardised(scores(fitted(part["model"], data, **part.get("params", {})), data))
    assert_allclose(scores(fitted("blend", data, parts=PARTS, weights=weights), data), expected, rtol=1e-3, atol=1e-4)


def test_a_weight_of_all_ranks_as_the_part_alone() -> None:
    data = dataset()
    blended = scores(fitted("blend", data, parts=PARTS[:2], weights=(1.0, 0.0)), data)[:-1]
    alone = scores(fitted("ease", data, l2=5.0), data)[:-1]
    assert_array_equal(blended.argmax(axis=1), alone.argmax(axis=1))


SASREC: dict[str, Any] = {"model": "sasrec", "params": {"dim": 4, "max_length": 5}, "epochs": 2}
TRAINED = [{"model": "slist"}, SASREC]


def test_a_part_that_is_trained_is_the_model_that_its_epochs_make() -> None:
    data = chains()
    alone: Any = model_class("sasrec")(configure("sasrec", SASREC["params"], "test"), data.n_users, data.n_items, 7)
    fit_for(alone, data, SASREC["epochs"])
    wanted = model_class("blend").artefacts(configure("blend", {"parts": TRAINED}, "test"))
    blended = fitted("blend", provided(data, wanted, 7, fit_for), parts=TRAINED, weights=(0.0, 1.0))
    assert_array_equal(scores(blended.parts[1], data), scores(alone.eval(), data))


def test_it_is_saved_and_read_with_its_trained_part(tmp_path: Path) -> None:
    data = chains()
    wanted = model_class("blend").artefacts(configure("blend", {"parts": TRAINED}, "test"))
    blended = fitted("blend", provided(data, wanted, 0, fit_for), parts=TRAINED)
    blended.save(tmp_path)
    assert_array_equal(scores(load(tmp_path), data), scores(blended, data))


def test_other_epochs_or_parameters_are_another_training() -> None:
    parts = [SASREC, {**SASREC, "epochs": 3}, {**SASREC, "params": {"dim": 8}}]
    wanted = model_class("blend").artefacts(configure("blend", {"parts": parts, "weights": (1, 1, 1)}, "test"))
    assert len({each.name for each in wanted}) == 3


def test_members_of_an_ensemble_are_trained_from_seeds_of_their_own() -> None:
    data, parts = chains(), [SASREC, {**SASREC, "member": 1}]
    wanted = model_class("blend").artefacts(configure("blend", {"parts": parts}, "test"))
    ensemble = fitted("blend", provided(data, wanted, 7, fit_for), parts=parts, weights=(1.0, 1.0))
    first, second = (scores(part, data) for part in ensemble.parts)
    assert abs(first - second).max() > 1e-3
    assert_allclose(scores(ensemble, data), standardised(first) + standardised(second), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": (1.0,)}, "2 parts need as many weights"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        ({"parts": [{"model": "ease"}, {"model": "blend"}]}, "no other blend"),
        ({"parts": [{"model": "ease"}, {"model": "lightgcn", "epochs": 3}]}, "know a user by the history"),
        ({"parts": [{"model": "ease"}, {"model": "multi_vae"}]}, "say for how many epochs"),
        ({"parts": [{"model": "ease"}, {"model": "slist", "epochs": 3}]}, "leave epochs out"),
        ({"parts": [{"model": "ease"}, {"model": "slist", "member": 1}]}, "leave member out"),
        ({"parts": [{"model": "ease"}, {"model": "easy"}]}, "Did you mean 'ease'"),
        ({"parts": [{"model": "ease"}, {"model": "ease", "params": {"l3": 1}}]}, "l3"),
    ],
)
def test_blends_of_something_else_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        configure("blend", params, "--set")
