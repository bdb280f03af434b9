"""The forward process, and what a network's output says of it.

Steps are counted from 0 here, as the network sees them: t = 0 is the papers' first step.
"""

import torch
from torch import Tensor, nn

from unblur.diffusion import predictions
from unblur.diffusion.predictions import Prediction


class Process(nn.Module):
    """q(x_t | x_0) of given betas (T,), or no noise at all (`betas` None: alpha_bar = 1, all weights 1).

    prediction: what the network's output stands for; x_0 by default.
    """

    alpha_bar: Tensor  # (T,)
    alpha_bar_before: Tensor  # (T,), 1 at the first step
    weights: Tensor  # (T,) of the steps' losses

    def __init__(self, betas: Tensor | None, T: int, prediction: Prediction | None = None) -> None:
        super().__init__()
        self.T, self.noiseless, self.prediction = T, betas is None, prediction or predictions.x0()
        alpha_bar = torch.ones(T, dtype=torch.float64) if betas is None else torch.cumprod(1 - betas, 0)
        before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        self.register_buffer("alpha_bar", alpha_bar, persistent=False)
        self.register_buffer("alpha_bar_before", before, persistent=False)
        self.register_buffer("weights", self._weights(), persistent=False)

    def q_sample(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t (B, n) = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (DiffRec eq. 2-3)."""
        alpha_bar = self.alpha_bar[t].unsqueeze(-1)
        noised = noise * (1 - alpha_bar).sqrt().to(noise.dtype)
        return noised.addcmul_(x_0, alpha_bar.sqrt().to(x_0.dtype))  # in place: one new (B, n) instead of three

    def to_x0(self, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The x_0 (B, n) that a network's output (B, n) at x_t (B, n) and t (B,) stands for."""
        if self.prediction.of_x0:
            return output
        keep, take = self.prediction.to_x0(self.alpha_bar[t].unsqueeze(-1))
        return keep.to(x_t.dtype) * x_t + take.to(x_t.dtype) * output

    def _weights(self) -> Tensor:
        """The bound's weights (T,); 1 at the first step (eq. 12), and everywhere without noise."""
        if self.noiseless:
            return torch.ones(self.T)
        weights = self.prediction.weights(self.alpha_bar, self.alpha_bar_before)
        weights[0] = 1
        return weights.float()
