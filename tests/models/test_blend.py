"""Blends of models in closed form."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.helpers.closed_forms import dataset, fitted, scores

from unblur.errors import UserError
from unblur.models import configure

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


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": (1.0,)}, "2 parts need as many weights"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        ({"parts": [{"model": "ease"}, {"model": "blend"}]}, "only models in closed form"),
        ({"parts": [{"model": "ease"}, {"model": "multi_vae"}]}, "only models in closed form"),
        ({"parts": [{"model": "ease"}, {"model": "easy"}]}, "Did you mean 'ease'"),
        ({"parts": [{"model": "ease"}, {"model": "ease", "params": {"l3": 1}}]}, "l3"),
    ],
)
def test_blends_of_something_else_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        configure("blend", params, "--set")
