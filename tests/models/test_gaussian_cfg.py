"""Guided diffusion with linear denoisers: its closed form against SLIST, sampled chains and a trained denoiser."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.helpers.closed_forms import dataset, fitted, scores
from tests.helpers.synthetic import communities
from torch import Tensor

from unblur.evaluation.ranking import validate
from unblur.models import configure, model_class
from unblur.models.closed_form._directed import sequences
from unblur.models.closed_form._guided_gaussian import Spectrum
from unblur.training import validation
from unblur.training.loop import TrainingSchedule, fit
from unblur.training.report import Progress

WEIGHTS: dict[str, Any] = {"a": 0.4, "gamma": 0.8, "gamma_future": 0.7, "l2": 5.0}
USERS = np.array([0, 3, 11])
DATA = dataset()


def model(**inference: Any) -> Any:
    return fitted("gaussian_cfg", DATA, **WEIGHTS, **inference)


def dense(spectrum: Spectrum) -> Tensor:
    return (spectrum.vectors * spectrum.values) @ spectrum.vectors.T


def pairs() -> tuple[Tensor, Tensor]:
    """Earlier and later parts (rows, n_items) of all cuts of all users, weighed as the model weighs them."""
    before, after = [], []
    for items in sequences(DATA.history()):
        for cut in range(1, len(items)):
            c, x_0 = np.zeros((2, DATA.n_items), dtype=np.float32)
            c[items[:cut]] = 0.8 ** np.arange(cut - 1, -1, -1)
            x_0[items[cut:]] = 0.7 ** np.arange(len(items) - cut)
            before.append(c)
            after.append(x_0)
    return torch.from_numpy(np.array(before)), torch.from_numpy(np.array(after))


@pytest.mark.parametrize("steps", [1, 4])
def test_from_pure_noise_without_guidance_it_is_slist(steps: int) -> None:
    slist = scores(fitted("slist", DATA, **WEIGHTS), DATA)
    assert_allclose(scores(model(guidance_scale=1.0, start=1.0, steps=steps), DATA), slist, atol=1e-5)


def test_guidance_from_pure_noise_divides_the_weight_of_popularity() -> None:
    """One step: mu + s (c B - mu)."""
    slist = scores(fitted("slist", DATA, **WEIGHTS), DATA)
    _, later = pairs()
    mean = later.mean(dim=0).numpy()
    for scale in (0.0, 2.5):
        found = scores(model(guidance_scale=scale), DATA)
        assert_allclose(found, mean + scale * (slist - mean), atol=1e-5)


def test_the_moments_are_those_of_the_written_out_pairs() -> None:
    fit, (c, x_0) = model(), pairs()
    left = (x_0 - c @ fit.directed).double()
    assert_allclose(dense(fit.left), left.T @ left / len(left), atol=1e-5)
    assert_allclose(dense(fit.whole), torch.cov(x_0.double().T, correction=0), atol=1e-5)


@pytest.mark.parametrize(
    "inference",
    [
        {"guidance_scale": 1.0, "start": 1.0, "steps": 3},
        {"guidance_scale": 2.0, "start": 0.3, "steps": 1},
        {"guidance_scale": 3.0, "start": 0.1, "steps": 4},
    ],
)
def test_the_mean_of_drawn_chains_is_the_score(inference: dict[str, Any]) -> None:
    chains, guided = 10_000, model(**inference)
    history = DATA.history().rows(np.repeat(USERS, chains))
    drawn = guided.draw(history, np.repeat(USERS, chains), seed=1).reshape(len(USERS), chains, -1).double()
    expected = guided.score(DATA.history().rows(USERS), USERS).double()
    error = drawn.std(dim=1) / chains**0.5
    assert ((drawn.mean(dim=1) - expected).abs() < 5 * error + 1e-6).all()
    assert drawn.std(dim=1).max() > 0.01


@pytest.mark.parametrize("steps", [1, 5])
def test_unguided_draws_have_the_spread_that_the_condition_leaves(steps: int) -> None:
    """From pure noise, x_0 given c is Gaussian with covariance R, through however many steps it is drawn."""
    chains, users, unguided = 20_000, np.repeat(USERS[:1], 20_000), model(guidance_scale=1.0, start=1.0, steps=steps)
    drawn = unguided.draw(DATA.history().rows(users), users, seed=2)
    expected = dense(unguided.left)
    tolerance = 6 * float(expected.diagonal().max()) / chains**0.5
    assert_allclose(torch.cov(drawn.T), expected, atol=tolerance)


def test_draws_repeat_with_their_seed_and_differ_with_another() -> None:
    history, guided = DATA.history().rows(USERS), model(start=0.3, steps=2)
    first, again, other = (guided.draw(history, USERS, seed) for seed in (1, 1, 2))
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("variance", [0.5, 0.05])
def test_a_trained_linear_denoiser_comes_to_the_closed_form(conditional: bool, variance: float) -> None:
    """Adam on noised later parts, with c B or with a bias of its own in place of the condition."""
    torch.manual_seed(0)
    fit, (c, x_0) = model(guidance_scale=1.0 if conditional else 0.0), pairs()
    mean = c @ fit.directed if conditional else torch.zeros(x_0.shape[1], requires_grad=True)
    gain = torch.zeros(x_0.shape[1], x_0.shape[1], requires_grad=True)
    alpha, sigma = (1 - variance) ** 0.5, variance**0.5
    optimizer = torch.optim.Adam([gain] if conditional else [gain, mean], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for _ in range(600):
        x_t = alpha * x_0 + sigma * torch.randn_like(x_0)
        loss = (mean + (x_t - alpha * mean) @ gain - x_0).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    noised = alpha * x_0.repeat(20, 1) + sigma * torch.randn(20 * len(x_0), x_0.shape[1])
    target = x_0.repeat(20, 1)
    with torch.no_grad():
        means = mean.repeat(20, 1) if conditional else mean
        trained = means + (noised - alpha * means) @ gain
        exact = fit.estimate((c @ fit.directed).repeat(20, 1), noised, variance)
    losses = [float((estimate - target).square().sum(dim=1).mean()) for estimate in (trained, exact)]
    untrained = float((x_0 - (c @ fit.directed if conditional else x_0.mean(dim=0))).square().sum(dim=1).mean())
    assert losses[1] < 1.01 * losses[0] and losses[0] < 1.02 * losses[1]
    assert losses[1] < 0.98 * untrained, "x_t says something that the mean does not"
    assert float((trained - exact).square().sum(dim=1).mean()) < 0.02 * losses[1]


def test_one_step_is_the_guided_estimate_whatever_was_asked_before() -> None:
    swept = model()
    h = torch.from_numpy(swept.config.weigh(DATA.history()).toarray())
    for start, scale in [(0.3, 2.0), (0.3, 0.0), (0.05, 2.0), (1.0, 3.0), (0.3, 1.0)]:
        swept.infer_with({"start": start, "guidance_scale": scale})
        expected = swept.estimate(h @ swept.directed, (1 - start) ** 0.5 * h, start)
        assert_allclose(scores(swept, DATA), expected, atol=1e-5)
    refitted = fitted("gaussian_cfg", dataset(seed=5), **WEIGHTS, guidance_scale=1.0, start=0.3)
    swept.fit(dataset(seed=5))
    assert_allclose(scores(swept, dataset(seed=5)), scores(refitted, dataset(seed=5)), atol=1e-5)


def test_every_setting_is_tried_on_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed form is evaluated once, and some users alone cannot tell scales apart."""
    monkeypatch.setattr(validation, "SAMPLE", 5)
    data, asked = communities(), []
    swept = model_class("gaussian_cfg")(configure("gaussian_cfg", {}, "test"), data.n_users, data.n_items)
    score = swept.score
    monkeypatch.setattr(swept, "score", lambda history, users: asked.append(len(users)) or score(history, users))
    grid = [{"guidance_scale": scale} for scale in (1.0, 2.0, 3.0, 4.0)]
    fit(swept, data, TrainingSchedule(), lambda _: None, grid=grid)
    assert asked == [int((np.diff(data.valid.indptr) > 0).sum())] * len(grid)


def test_a_sweep_leaves_the_fit_with_its_best_settings() -> None:
    """Scale 0 is popularity, which knows no groups."""
    data = communities()
    swept = model_class("gaussian_cfg")(configure("gaussian_cfg", {}, "test"), data.n_users, data.n_items)
    reports: list[Progress] = []
    grid = [{"guidance_scale": scale} for scale in (0.0, 1.0)]
    outcome = fit(swept, data, TrainingSchedule(), reports.append, grid=grid)
    assert outcome.inference == reports[0].inference == {"guidance_scale": 1.0}
    assert swept.config.guidance_scale == 1.0
    assert outcome.value == validate(swept, data).metrics()["ndcg_at_10"]
