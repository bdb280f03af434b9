"""What a network may predict: each public function returns one parametrisation. x_0 is the papers' choice.

x_0 = keep x_t + take output, elementwise for alpha_bar; the loss of a step weighs what the variational bound gives it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.registry import functions


@dataclass(frozen=True)
class Prediction:
    """What a network's output stands for."""

    to_x0: Callable[[Tensor], tuple[Tensor, Tensor]]
    """(keep, take) for alpha_bar."""
    weights: Callable[[Tensor, Tensor], Tensor]
    """Loss weights (T,) from alpha_bar (T,) of each step and of the step before."""
    of_x0: bool = False
    """The output is x_0 itself."""
    of_noise: bool = False
    """The output is the noise, and that is what a squared error compares."""


def x0() -> Prediction:
    """x_0 itself; weights SNR(t-1) - SNR(t) (DiffRec eq. 11, times 1 as in the authors' code)."""
    return Prediction(lambda a: (torch.zeros_like(a), torch.ones_like(a)), _snr_drops, of_x0=True)


def v() -> Prediction:
    """v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022); weights as for x_0."""
    return Prediction(lambda a: (a.sqrt(), -(1 - a).sqrt()), _snr_drops)


def eps() -> Prediction:
    """The noise; the same bound in its terms (Ho et al. 2020)."""

    def weights(now: Tensor, before: Tensor) -> Tensor:
        return (1 - now) / ((1 - before) ** 2 * (now / before))

    return Prediction(lambda a: (a.rsqrt(), -((1 - a) / a).sqrt()), weights, of_noise=True)


def _snr_drops(now: Tensor, before: Tensor) -> Tensor:
    return before / (1 - before) - now / (1 - now)


PREDICTIONS = functions("prediction", __name__)
