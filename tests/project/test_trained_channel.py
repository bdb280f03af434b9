"""The channel of examples/trained_channel.py, which leaves a user out without another fit."""

from types import ModuleType

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from tests.helpers import ROOT
from tests.helpers.closed_forms import dataset
from tests.helpers.programs import loaded

from unblur.models.closed_form.slist import Config, regression


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return loaded(ROOT / "examples/trained_channel.py")


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0])
def test_leaving_a_user_out_is_a_fit_without_the_user(example: ModuleType, a: float) -> None:
    history, config = dataset().history(), Config(a=a, gamma=0.8, gamma_future=0.7, l2=5, cuts=3)
    n_users, n_items = history.matrix.shape
    channel, fitted = example.LeaveOneOut(config, history), example.Fitted(config, history)
    rng, differences = np.random.default_rng(0), []
    for user in range(n_users):
        others = history.rows(np.delete(np.arange(n_users), user))
        refitted = regression(config, others, config.sums(others))
        c = history.matrix[[user]].multiply(rng.random((1, n_items))).tocsr()
        got = channel.rows(np.array([user]), c)
        np.testing.assert_allclose(got, c @ refitted, rtol=0, atol=1e-8)
        differences.append(np.abs(got - fitted.rows(np.array([user]), c)).max())
    assert np.median(differences) > 1e-3, "with the user it is another matrix"


def test_a_fold_is_scored_by_what_the_others_fitted(example: ModuleType) -> None:
    history, config = dataset().history(), Config(l2=5)
    channel = example.Fitted(config, history, folds=3)
    user = np.array([4])
    others = history.rows(np.flatnonzero(channel.fold != channel.fold[4]))
    c = csr_matrix(history.matrix[user])
    np.testing.assert_allclose(channel.rows(user, c), c @ regression(config, others, config.sums(others)), atol=1e-12)
