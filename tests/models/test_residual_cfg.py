"""Diffusion of what a prediction leaves: against the blend that predicts, written out pairs, and sampled chains."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.helpers.closed_forms import dataset, fitted, scores

from unblur.errors import UserError
from unblur.models import configure
from unblur.models.closed_form._guided_gaussian import Spectrum
from unblur.models.closed_form.residual_cfg import Model

PARTS = {"parts": [{"model": "slist", "params": {"l2": 5.0}}, {"model": "ease", "params": {"l2": 3.0}}]}
WEIGHTS = {"weights": [0.7, 0.3]}
USERS = np.array([0, 3, 11])
DATA = dataset()


def model(**params: Any) -> Model:
    made: Model = fitted("residual_cfg", DATA, **PARTS, **WEIGHTS, cuts=3, **params)
    return made


def dense(spectrum: Spectrum) -> torch.Tensor:
    return (spectrum.vectors * spectrum.values) @ spectrum.vectors.T


def pairs(residual: Model) -> tuple[np.ndarray, np.ndarray]:
    parts = [(x.toarray(), y) for x, y in residual._pairs(DATA.history())]
    x, y = (np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True))
    return x, y


@pytest.mark.parametrize("steps", [1, 4])
def test_from_pure_noise_without_guidance_it_scores_as_the_blend_on_a_line(steps: int) -> None:
    residual = model(guidance_scale=1.0, start=1.0, steps=steps)
    expected = scores(fitted("blend", DATA, **PARTS, **WEIGHTS), DATA)
    assert residual.slope > 0, "so that the order is the blend's too"
    assert_allclose(scores(residual, DATA), float(residual.slope) * expected + float(residual.level), atol=1e-5)


def test_a_pair_is_a_history_cut_in_two_and_the_blends_scores_of_the_earlier_part() -> None:
    residual = model(gamma_future=0.5)
    x, y = pairs(residual)
    lengths = np.diff(DATA.train.indptr)
    assert len(x) == len(y) == 3 * (lengths > 1).sum()
    nearest = (x == 1).sum(axis=1)
    assert (nearest == 1).all(), "the item behind the cut weighs 1, those after it less"
    assert_allclose(y.mean(axis=1), 0, atol=1e-5)


def test_slope_level_and_moments_are_those_of_the_pairs_written_out() -> None:
    residual = model()
    x, y = pairs(residual)
    design = np.stack([y.ravel(), np.ones(y.size)], axis=1)
    (slope, level), *_ = np.linalg.lstsq(design, x.ravel(), rcond=None)
    assert_allclose([float(residual.slope), float(residual.level)], [slope, level], rtol=1e-4)
    left = x - slope * y - level
    assert_allclose(dense(residual.left), left.T @ left / len(left), atol=1e-5)
    assert_allclose(dense(residual.whole), np.cov(x.T, bias=True), atol=1e-5)
    assert_allclose(residual.mean, x.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("inference", [{"start": 1.0, "steps": 3}, {"guidance_scale": 2.0, "start": 0.1, "steps": 2}])
def test_the_mean_of_drawn_chains_is_the_score(inference: dict[str, Any]) -> None:
    chains, guided = 10_000, model(**inference)
    users = np.repeat(USERS, chains)
    drawn = guided.draw(DATA.history().rows(users), users, seed=1).reshape(len(USERS), chains, -1).double()
    expected = guided.score(DATA.history().rows(USERS), USERS).double()
    error = drawn.std(dim=1) / chains**0.5
    assert ((drawn.mean(dim=1) - expected).abs() < 5 * error + 1e-6).all()
    assert drawn.std(dim=1).max() > 0.01


def test_a_start_in_the_history_passes_what_the_prediction_leaves() -> None:
    """One step: f + (x - alpha f) K at scale 1, which is not the blend's order any more."""
    residual, v = model(start=0.05), 0.05
    alpha = (1 - v) ** 0.5
    left = dense(residual.left).double()
    gain = alpha * left @ torch.linalg.inv(alpha**2 * left + v * torch.eye(len(left)))
    history, users = DATA.history(), np.arange(DATA.n_users)
    predicted = residual.predicted(history, users).double()
    x = alpha * torch.from_numpy(residual.config.weigh(history).toarray()).double()
    assert_allclose(scores(residual, DATA), predicted + (x - alpha * predicted) @ gain, atol=1e-4)


def test_one_part_is_enough_and_every_part_needs_a_weight() -> None:
    alone = fitted("residual_cfg", DATA, parts=[{"model": "slist", "params": {"l2": 5.0}}], weights=[1.0])
    slist = scores(fitted("slist", DATA, l2=5.0), DATA)
    assert (np.argsort(-scores(alone, DATA), axis=1)[:-1, :5] == np.argsort(-slist, axis=1)[:-1, :5]).all()
    with pytest.raises(UserError, match="2 parts need as many weights, not 1"):
        configure("residual_cfg", {**PARTS, "weights": [1.0]}, "test")
