"""The forward process, its posterior, and the training losses of a prediction of x_0, eps or v.

Steps are counted from 0 here, as the network sees them: t = 0 is the papers' first step.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Prediction = Literal["x0", "eps", "v"]


class Process(nn.Module):
    """q(x_t | x_0) of given betas (T,), or no noise at all (`betas` None: alpha_bar = 1, all weights 1)."""

    alpha_bar: Tensor  # (T,)
    alpha_bar_before: Tensor  # (T,), 1 at the first step

    def __init__(self, betas: Tensor | None, T: int) -> None:
        super().__init__()
        self.T, self.noiseless = T, betas is None
        alpha_bar = torch.ones(T, dtype=torch.float64) if betas is None else torch.cumprod(1 - betas, 0)
        before = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        self.register_buffer("alpha_bar", alpha_bar, persistent=False)
        self.register_buffer("alpha_bar_before", before, persistent=False)
        for prediction in ("x0", "eps", "v"):
            self.register_buffer(f"weight_{prediction}", self._weights(prediction), persistent=False)

    def q_sample(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t (B, n) = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps (DiffRec eq. 2-3)."""
        alpha_bar = self.alpha_bar[t].unsqueeze(-1)
        noised = noise * (1 - alpha_bar).sqrt().to(noise.dtype)
        return noised.addcmul_(x_0, alpha_bar.sqrt().to(x_0.dtype))  # in place: one new (B, n) instead of three

    def to_x0(self, prediction: Prediction, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The x_0 (B, n) that a network's output stands for."""
        if prediction == "x0":
            return output
        keep, take = x0_from(prediction, self.alpha_bar[t].unsqueeze(-1))
        return keep.to(x_t.dtype) * x_t + take.to(x_t.dtype) * output

    def weight(self, prediction: Prediction, t: Tensor) -> Tensor:
        """Loss weights (B,) of the steps t (B,)."""
        weights: Tensor = getattr(self, f"weight_{prediction}")
        return weights[t]

    def squared_error(
        self, prediction: Prediction, output: Tensor, x_0: Tensor, x_t: Tensor, noise: Tensor, t: Tensor
    ) -> Tensor:
        """Unweighted loss (B,), mean over items.

        x_0 and v: the squared error of x_0 (eq. 11-12). eps: that of eps, and at the first step half that of x_0,
        as in the authors' code.
        """
        if prediction != "eps":
            return _mean_square(self.to_x0(prediction, output, x_t, t), x_0)
        first = _mean_square(self.to_x0("eps", output, x_t, t), x_0) / 2
        return torch.where(t == 0, first, _mean_square(output, noise))

    def _weights(self, prediction: str) -> Tensor:
        """x_0, v: SNR(t-1) - SNR(t) (eq. 11, times 1 as in the authors' code); eps: the same bound. First step: 1."""
        if self.noiseless:
            return torch.ones(self.T)
        now, before = self.alpha_bar, self.alpha_bar_before
        if prediction == "eps":
            weights = (1 - now) / ((1 - before) ** 2 * (now / before))
        else:
            weights = before / (1 - before) - now / (1 - now)
        weights[0] = 1
        return weights.float()


def x0_from(prediction: Prediction, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """(keep, take) with x_0 = keep x_t + take output, elementwise for alpha_bar."""
    if prediction == "eps":
        return alpha_bar.rsqrt(), -((1 - alpha_bar) / alpha_bar).sqrt()
    if prediction == "v":  # v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022)
        return alpha_bar.sqrt(), -(1 - alpha_bar).sqrt()
    return torch.zeros_like(alpha_bar), torch.ones_like(alpha_bar)


def _mean_square(x: Tensor, y: Tensor) -> Tensor:
    """Mean of (x - y)^2 over items (B,)."""
    squares: Tensor = _SquaredDistance.apply(x, y)  # type: ignore[no-untyped-call]
    return squares / x.shape[-1]


class _SquaredDistance(torch.autograd.Function):
    """||x - y||^2 of every row (B,), with one (B, n) kept and one made: autograd's own parts need more of both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Any:
        difference = x - y
        ctx.save_for_backward(difference)
        return torch.linalg.vector_norm(difference, dim=-1).square_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        of_x = ctx.saved_tensors[0] * (2 * gradient).unsqueeze(-1)
        return of_x, -of_x if ctx.needs_input_grad[1] else None
