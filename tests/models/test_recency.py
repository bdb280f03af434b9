"""Recency weights, in the three forms that every model with a history takes."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix

from unblur.data.dataset import History
from unblur.errors import UserError
from unblur.models import config_class, configure, names

HISTORY = History(csr_matrix([[1, 1, 1, 0], [0, 1, 0, 0]], dtype=np.float32), np.array([1, 2, 0, 0], dtype=np.int32))
UNORDERED = History(HISTORY.matrix, None)
WEIGHING = [name for name in names() if "gamma" in config_class(name).model_fields]


def test_geometric_weights_count_what_came_later_whatever_the_length() -> None:
    weights = HISTORY.weighted(1, 1, "geometric", 0.5).toarray()
    assert_allclose(weights, [[0.5, 1, 0.25, 0], [0, 1, 0, 0]])


def test_linear_and_exponential_weights_run_from_the_oldest_to_the_newest() -> None:
    assert_allclose(HISTORY.weighted(0.2, 0.8).toarray(), [[0.5, 0.8, 0.2, 0], [0, 0.2, 0, 0]])
    exponential = HISTORY.weighted(0.25, 1, "exponential").toarray()
    assert_allclose(exponential, [[0.5, 1, 0.25, 0], [0, 0.25, 0, 0]])


def test_neutral_weights_need_no_order_and_others_do() -> None:
    for neutral in (UNORDERED.weighted(1, 1), UNORDERED.weighted(0.1, 1, "geometric", 1.0)):
        assert neutral is HISTORY.matrix
    with pytest.raises(UserError, match="gamma weighs interactions by time"):
        UNORDERED.weighted(1, 1, "geometric", 0.9)
    with pytest.raises(UserError, match="w_min and w_max weigh"):
        UNORDERED.weighted(0.5, 1)


@pytest.mark.parametrize("name", [name for name in WEIGHING if "w_form" in config_class(name).model_fields])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w_form": "linear", "gamma": 0.9}, "give geometric"),
        ({"w_form": "exponential", "w_min": 0}, "w_form = linear"),
    ],
)
def test_parameters_that_would_weigh_nothing_or_fail_are_refused(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        configure(name, params, "--set")
