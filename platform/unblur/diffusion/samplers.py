"""Samplers: each public function says how much of x_t's noise one reverse step replaces, and by how much new noise.

x' = sqrt(alpha_bar') x_0 + sqrt(1 - alpha_bar' - variance) eps + sigma z, from alpha_bar of the step (`now`) and of the
one that it leads to (`before`).
"""

import torch
from torch import Tensor

from unblur.registry import functions


def posterior_mean(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(variance, sigma) of the posterior's mean: deterministic (DiffRec eq. 8, 10)."""
    return _posterior_variance(now, before), torch.zeros_like(now)


def ancestral(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(variance, sigma) of a draw from the posterior (Ho et al. 2020, sigma^2 = beta~_t)."""
    variance = _posterior_variance(now, before)
    return variance, variance.sqrt()


def fixed_large(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(variance, sigma) of the posterior's mean with noise of sigma^2 = beta_t (Buchanan et al. 2024, eq. 5).

    One of the two choices of Ho et al. 2020 (section 3.2), whose algorithm 2 adds none at the last step.
    """
    beta = torch.where(before < 1, 1 - now / before, 0.0)
    return _posterior_variance(now, before), beta.sqrt()


def ddim(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(variance, sigma), both 0: x_t keeps its noise (Song et al. 2021, eq. 12)."""
    return torch.zeros_like(now), torch.zeros_like(now)


def _posterior_variance(now: Tensor, before: Tensor) -> Tensor:
    return (1 - now / before) * (1 - before) / (1 - now)


SAMPLERS = functions("sampler", __name__)
