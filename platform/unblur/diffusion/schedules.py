"""Noise schedules: each public function returns the betas (T,) of one schedule, in double precision.

A new one is one more function here. All take the same four numbers: T steps, the noise scale s, and the bounds
noise_min < noise_max.
"""

import math

import torch
from torch import Tensor

from unblur.registry import functions

MAX_BETA = 0.999
FIRST_BETA = 1e-5
VP_MIN, VP_MAX = 0.1, 10.0
"""Rates of noise at the first and the last moment."""
SQRT_OFFSET = 1e-4


def linear_variance(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """DiffRec's schedule (eq. 4): 1 - alpha_bar_t = s [noise_min + (t-1)/(T-1) (noise_max - noise_min)].

    T = 1 uses noise_min. Like the authors' code, beta_1 is then replaced by 1e-5, so that alpha_bar leaves eq. 4
    a little.
    """
    return _fix_first(linear_variance_exact(T, noise_scale, noise_min, noise_max))


def linear_variance_exact(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Eq. 4 to the letter, its first step included: L-DiffRec's schedule."""
    variance = noise_scale * torch.linspace(noise_min, noise_max, T, dtype=torch.float64)
    return _betas_from_alpha_bar(1 - variance)


def log_variance(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Noise variances from s noise_min to s noise_max by a constant factor: as many steps in every decade.

    What is diffused of sparse data has variances of 1e-3 to 1e-2 (docs/gaussian_cfg.md), where eq. 4 with bounds up to
    1 has no step but its first; uniform draws of t are log-uniform draws of the variance. T = 1 uses noise_min.
    """
    shares = torch.linspace(0, 1, T, dtype=torch.float64)
    return _betas_from_alpha_bar(1 - noise_scale * noise_min ** (1 - shares) * noise_max**shares)


def zero_terminal_snr(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Eq. 4 made steeper, so that x_T is noise alone; the first of several steps stays (Lin et al. 2024, alg. 1)."""
    roots = torch.cumprod(1 - linear_variance_exact(T, noise_scale, noise_min, noise_max), 0).sqrt()
    stretch = roots[0] / (roots[0] - roots[-1]) if T > 1 else roots.new_zeros(())
    return _steps(((roots - roots[-1]) * stretch).square())


def linear_beta(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Ho et al. 2020: the betas themselves grow linearly, from s noise_min to s noise_max."""
    return torch.linspace(noise_scale * noise_min, noise_scale * noise_max, T, dtype=torch.float64).clamp(max=MAX_BETA)


def cosine(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Nichol & Dhariwal 2021: alpha_bar follows a squared cosine; its noise is scaled by s noise_max."""
    steps = (torch.arange(1, T + 1, dtype=torch.float64) / T + 0.008) / 1.008
    variance = 1 - torch.cos(steps * math.pi / 2) ** 2
    return _betas_from_alpha_bar(1 - noise_scale * noise_max * variance)


def exponential(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Song et al. 2021 (VP, eq. 33), as in DreamRec: alpha_bar = exp(-.1 t/T - 4.95 (t/T)^2), its noise scaled by s
    noise_max. DreamRec's code (2T + 1 in place of 2T - 1 at its end) is apart from it by a share of 1/T.
    """
    steps = torch.arange(1, T + 1, dtype=torch.float64) / T
    variance = 1 - torch.exp(-VP_MIN * steps - (VP_MAX - VP_MIN) / 2 * steps**2)
    return _betas_from_alpha_bar(1 - noise_scale * noise_max * variance)


def sqrt(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Li et al. 2022 (Diffusion-LM), as in DreamRec: the noise grows with the root of t, scaled by s noise_max."""
    steps = (torch.arange(1, T + 1, dtype=torch.float64) / T + SQRT_OFFSET) / (1 + SQRT_OFFSET)
    return _betas_from_alpha_bar(1 - noise_scale * noise_max * steps.sqrt())


def binomial(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """Sohl-Dickstein et al. 2015: beta_t = 1 / (T - t + 1), scaled by s noise_max."""
    steps = torch.arange(1, T + 1, dtype=torch.float64)
    return (noise_scale * noise_max / (T - steps + 1)).clamp(max=MAX_BETA)


def _betas_from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    return _steps(alpha_bar).clamp(max=MAX_BETA)


def _steps(alpha_bar: Tensor) -> Tensor:
    return 1 - alpha_bar / torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])


def _fix_first(betas: Tensor) -> Tensor:
    return torch.cat([betas.new_tensor([FIRST_BETA]), betas[1:]])


SCHEDULES = functions("schedule", __name__)
