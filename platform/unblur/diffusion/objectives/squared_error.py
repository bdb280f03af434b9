"""The squared error of the prediction (DiffRec eq. 11-12)."""

import torch
from torch import Tensor

from unblur.diffusion import objective
from unblur.diffusion._squared_distance import mean_square
from unblur.diffusion.objective import Denoised
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Objective(objective.Objective):
    """The mean over items of (x_0_hat - x_0)^2.

    Of a network that predicts the noise, that of the noise, and at the first step half that of x_0, as in the authors'
    code.
    """

    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        of_x0 = mean_square(denoised.x_0_hat, denoised.x_0)
        if not self.prediction.of_noise:
            return of_x0
        return torch.where(denoised.t == 0, of_x0 / 2, mean_square(denoised.output, denoised.noise))
