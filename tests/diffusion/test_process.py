import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.diffusion.objective import Denoised
from unblur.diffusion.objectives.squared_error import Config, Objective
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import plain_chain, reverse_steps, thinned
from unblur.diffusion.schedules import (
    SCHEDULES,
    binomial,
    cosine,
    exponential,
    linear_variance,
    linear_variance_exact,
    log_variance,
    sqrt,
    zero_terminal_snr,
)

BOUNDS = (0.5, 0.01, 0.4)


@pytest.mark.parametrize("name", SCHEDULES.names())
@given(T=st.integers(1, 60), s=st.floats(1e-4, 1))
def test_every_schedule_gives_betas_of_a_growing_noise(name: str, T: int, s: float) -> None:
    betas = SCHEDULES.get(name)(T, s, 0.01, 0.9)
    assert betas.shape == (T,) and betas.dtype == torch.float64
    inner = betas[:-1] if name == "zero_terminal_snr" else betas
    assert (betas > 0).all() and (inner < 1).all()
    assert (torch.cumprod(1 - betas, 0).diff() < 0).all()


def test_linear_variance_is_eq_4_after_its_first_step() -> None:
    s, low, high = BOUNDS
    betas = linear_variance(5, s, low, high)
    variance = s * torch.linspace(low, high, 5, dtype=torch.float64)
    assert betas[0] == 1e-5
    torch.testing.assert_close(torch.cumprod(1 - linear_variance_exact(5, s, low, high), 0), 1 - variance)
    # the first beta is replaced, so eq. 4 holds up to the constant factor of alpha_bar that this changes
    expected = (1 - variance) / (1 - variance[0]) * (1 - 1e-5)
    torch.testing.assert_close(torch.cumprod(1 - betas, 0), expected)


def test_log_variance_has_as_many_steps_in_every_decade() -> None:
    variances = 1 - torch.cumprod(1 - log_variance(4, 0.5, 1e-3, 0.999), 0)
    factor = 999 ** (1 / 3)
    expected = 0.5e-3 * torch.tensor([1, factor, factor**2, factor**3], dtype=torch.float64)
    torch.testing.assert_close(variances, expected, rtol=1e-9, atol=0)
    assert float(log_variance(1, 0.5, 1e-3, 0.999)) == pytest.approx(0.5e-3)


def test_cosine_is_nichol_and_dhariwals_with_its_offset() -> None:
    """Improved DDPM, eq. 17: f(t) = cos^2((t/T + s) / (1 + s) pi/2), s = 0.008."""
    variances = 1 - torch.cumprod(1 - cosine(4, 0.5, 0.01, 0.4), 0)
    expected = [0.2 * math.sin((t / 4 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1, 5)]
    assert variances.tolist() == pytest.approx(expected)


def test_exponential_is_the_rates_of_noise_between_its_bounds_summed_up() -> None:
    """Song et al. 2021: -log alpha_bar is the integral of beta(u) from 0 to t, beta growing linearly from .1 to 10."""
    alpha_bar = 1 - (1 - torch.cumprod(1 - exponential(4, 1.0, 0.01, 0.999), 0)) / 0.999
    moments = torch.linspace(0, 1, 4001, dtype=torch.float64)
    rates = torch.cumulative_trapezoid(0.1 + 9.9 * moments, moments)[999::1000]
    torch.testing.assert_close(-alpha_bar.log(), rates, rtol=1e-6, atol=0)


def test_exponential_is_close_to_dreamrecs() -> None:
    T = 500
    theirs = 1 - torch.exp(-0.1 / T - torch.linspace(1, 2 * T + 1, T, dtype=torch.float64) * 0.5 * 9.9 / T**2)
    ours = exponential(T, 1.0, 0.01, 1 - 1e-9)
    torch.testing.assert_close(torch.cumprod(1 - ours, 0), torch.cumprod(1 - theirs, 0), rtol=0.02, atol=1e-4)


def test_sqrt_has_a_quarter_of_the_time_for_half_of_the_noise() -> None:
    variances = 1 - torch.cumprod(1 - sqrt(4, 0.5, 0.01, 0.4), 0)
    assert variances.tolist() == pytest.approx([0.2 * ((t / 4 + 1e-4) / 1.0001) ** 0.5 for t in range(1, 5)])
    assert variances[0] == pytest.approx(0.1, rel=1e-3)


def test_binomial_forgets_an_equal_share_of_the_signal_with_every_step() -> None:
    """Sohl-Dickstein et al. 2015, section 2.4.1: beta_t = 1 / (T - t + 1)."""
    assert binomial(4, 0.5, 0.01, 0.4).tolist() == pytest.approx([0.2 / 4, 0.2 / 3, 0.2 / 2, 0.2])


HALF = torch.tensor(0.5), torch.tensor(0.75)
DETERMINISTIC = [name for name in SAMPLERS.names() if not SAMPLERS.get(name)(*HALF)[1]]


def predicting(name: str, betas: torch.Tensor | None, T: int) -> Process:
    return Process(betas, T, PREDICTIONS.get(name)())


def true_output(name: str, x_0: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """What a perfect network answers; a new prediction is added here."""
    return {"x0": x_0, "eps": noise, "v": alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0}[name]


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_sampler_keeps_the_variance_within_bounds(name: str) -> None:
    variance, sigma = SAMPLERS.get(name)(*HALF)
    assert 0 <= variance <= 1 - HALF[1] and 0 <= sigma**2 <= 1 - HALF[0] / HALF[1] + 1e-6, "no more than beta_t"


@pytest.mark.parametrize("sampler", DETERMINISTIC)
@pytest.mark.parametrize("prediction", ["x0", "v"])
@pytest.mark.parametrize("T", [1, 6])
def test_with_zero_terminal_snr_the_chain_starts_from_noise_alone(prediction: str, sampler: str, T: int) -> None:
    betas = zero_terminal_snr(T, *BOUNDS)
    process = predicting(prediction, betas, T)
    assert process.alpha_bar[-1] == 0
    if T > 1:
        assert betas[0] == pytest.approx(float(linear_variance_exact(T, *BOUNDS)[0]))
    x_0, noise = torch.rand(3, 30), torch.randn(3, 30)
    assert process.q_sample(x_0, torch.full((3,), T - 1), noise).equal(noise)

    def truth(x_t: torch.Tensor, t: int) -> torch.Tensor:
        a = process.alpha_bar[t].float()
        eps = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
        return true_output(prediction, x_0, eps, a)

    torch.testing.assert_close(plain_chain(noise, reverse_steps(process, SAMPLERS.get(sampler)), truth), x_0)
    assert process.weights.isfinite().all()


@pytest.mark.parametrize("prediction", PREDICTIONS.names())
def test_the_true_output_gives_x_0_back(prediction: str) -> None:
    process = predicting(prediction, linear_variance(8, *BOUNDS), 8)
    x_0, noise, t = torch.rand(8, 30), torch.randn(8, 30), torch.arange(8)
    x_t = process.q_sample(x_0, t, noise)
    output = true_output(prediction, x_0, noise, process.alpha_bar[:, None].float())
    x_0_hat = process.to_x0(output, x_t, t)
    torch.testing.assert_close(x_0_hat, x_0, rtol=1e-3, atol=2e-4)
    error = Objective(Config(), process.prediction)(Denoised(x_0, x_t, noise, t, output, x_0_hat), x_0)
    torch.testing.assert_close(error, torch.zeros(8), atol=1e-6, rtol=0)


def test_the_posterior_mean_is_bayes_rule() -> None:
    """q(x_{t-1} | x_t, x_0) from the two Gaussians that define it, in one dimension."""
    process = Process(linear_variance(6, *BOUNDS), 6)
    for step in reverse_steps(process, SAMPLERS.get("ancestral"))[:-1]:
        now, before = float(process.alpha_bar[step.t]), float(process.alpha_bar[step.t - 1])
        alpha = now / before
        precision = alpha / (1 - alpha) + 1 / (1 - before)
        assert step.keep == pytest.approx(math.sqrt(alpha) / (1 - alpha) / precision)
        assert step.take == pytest.approx(math.sqrt(before) / (1 - before) / precision)
        assert step.sigma == pytest.approx(math.sqrt(1 / precision))


def test_fixed_large_adds_the_schedules_own_noise_to_the_posterior_mean() -> None:
    betas = linear_variance(6, *BOUNDS)
    process = Process(betas, 6)
    found, mean = (reverse_steps(process, SAMPLERS.get(name)) for name in ("fixed_large", "posterior_mean"))
    assert [(step.keep, step.take) for step in found] == [(step.keep, step.take) for step in mean]
    added = [step.sigma**2 for step in found]
    assert added == pytest.approx([*betas.tolist()[:0:-1], 0.0]), "and the last step draws nothing"
    drawn = [step.sigma**2 for step in reverse_steps(process, SAMPLERS.get("ancestral"))]
    assert all(large > small for large, small in zip(added[:-1], drawn[:-1], strict=True))


def test_weights_are_drops_in_signal_to_noise_and_one_at_first() -> None:
    process = Process(linear_variance(6, *BOUNDS), 6)
    snr = process.alpha_bar / (1 - process.alpha_bar)
    weights = process.weights
    assert weights[0] == 1
    torch.testing.assert_close(weights[1:].double(), snr[:-1] - snr[1:], rtol=1e-6, atol=0)


def test_without_noise_the_network_is_applied_t_times() -> None:
    process = Process(None, 3)
    assert [(step.t, step.keep, step.take) for step in reverse_steps(process)] == [
        (2, 0, 1),
        (1, 0, 1),
        (0, 0, 1),
    ]
    assert (process.weights == 1).all()


def test_a_thinned_chain_keeps_the_ends() -> None:
    process = Process(linear_variance(10, *BOUNDS), 10)
    steps = reverse_steps(process, kept=[0, 4, 9])
    assert [step.t for step in steps] == [9, 4, 0]
    assert (steps[-1].keep, steps[-1].take) == (0, pytest.approx(1))


@pytest.mark.parametrize("prediction", PREDICTIONS.names())
@pytest.mark.parametrize("kept", [None, [0, 3, 7]])
def test_ddim_with_the_true_output_stays_on_its_own_noise(prediction: str, kept: list[int] | None) -> None:
    """Song et al. 2021: the noise of x_t is kept, so that every x_t' is q_sample of the same x_0 and noise."""
    process = predicting(prediction, linear_variance(8, *BOUNDS), 8)
    x_0, noise = torch.rand(3, 30, dtype=torch.float64), torch.randn(3, 30, dtype=torch.float64)
    seen = []

    def truth(x_t: torch.Tensor, t: int) -> torch.Tensor:
        torch.testing.assert_close(x_t, process.q_sample(x_0, torch.full((3,), t), noise))
        seen.append(t)
        return true_output(prediction, x_0, noise, process.alpha_bar[t])

    start = process.q_sample(x_0, torch.full((3,), 7), noise)
    torch.testing.assert_close(plain_chain(start, reverse_steps(process, SAMPLERS.get("ddim"), kept), truth), x_0)
    assert seen == list(reversed(kept or range(8)))


@given(T=st.integers(1, 60), count=st.integers(1, 80))
def test_thinned_steps_ascend_and_keep_the_ends(T: int, count: int) -> None:
    steps = thinned(T, count)
    assert len(steps) == min(T, count) and steps[-1] == T - 1
    assert steps == sorted(set(steps)) and (count == 1 or steps[0] == 0)


def test_a_network_of_the_noise_pays_for_its_noise_and_at_the_first_step_for_half_of_x_0() -> None:
    x_0, noise, output, x_0_hat = torch.randn(4, 2, 9).unbind(0)
    error = Objective(Config(), PREDICTIONS.get("eps")())
    found = error(Denoised(x_0, x_0, noise, torch.tensor([0, 3]), output, x_0_hat), x_0)
    expected = [(x_0_hat - x_0)[0].square().mean() / 2, (output - noise)[1].square().mean()]
    torch.testing.assert_close(found, torch.stack(expected))


def test_the_squared_error_has_the_gradients_of_its_definition() -> None:
    objective = Objective(Config(), PREDICTIONS.get("x0")())
    output, x_0 = (torch.randn(5, 9, dtype=torch.float64, requires_grad=True) for _ in range(2))
    t, none = torch.arange(5) % 4, torch.empty(0)

    def ours(output: torch.Tensor, x_0: torch.Tensor) -> torch.Tensor:
        return objective(Denoised(x_0, none, none, t, output, output), x_0)

    torch.testing.assert_close(ours(output, x_0), (output - x_0).square().mean(-1))
    assert torch.autograd.gradcheck(ours, (output, x_0))
