"""Self-conditioning (Chen et al. 2022, "Analog Bits", section 3.2): the network sees its own last estimate of x_0."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Denoiser, LinearEnds
from unblur.nn.layers import matrix
from unblur.nn.onednn import linear
from unblur.nn.sparse import normalized

SHOWN_SHARE = 0.5


class WithEstimate(NamedTuple):
    """A condition, and an estimate of x_0 (B, n) beside it."""

    c: Any
    estimate: Tensor


class SelfConditioned(Denoiser):
    """A network that also sees an estimate of x_0, which joins its first layer.

    In a chain that is the last step's. In training a first pass without gradient makes it, and half of the rows see
    none (zero), as a chain's first step does.
    """

    def __init__(self, inner: LinearEnds) -> None:
        super().__init__()
        self.inner = inner
        n, width = inner.ends().w_in.shape
        self.w_estimate = matrix(n, width, 2 * n)

    def encode(self, condition: Condition) -> Any:
        return self.inner.encode(condition)

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        c, estimate = c if isinstance(c, WithEstimate) else (c, None)
        projected = self.inner.project(x_t)
        if estimate is not None:
            projected = projected + (normalized(estimate) if self.inner.normalize else estimate) @ self.w_estimate
        ends = self.inner.ends()
        return linear(self.inner.hidden(projected, t, c), ends.w_out, ends.b_out)

    def shown(self, x_t: Tensor, t: Tensor, c: Any, to_x0: Callable[[Tensor], Tensor]) -> WithEstimate:
        """The condition of a training step; `to_x0` gives the x_0 (B, n) that an output (B, n) stands for."""
        with torch.no_grad():
            estimate = to_x0(self(x_t, t, c))
        # by row, not by batch: with workers whose draws differ every parameter has a gradient on each of them
        seen = torch.rand(len(estimate), 1, device=estimate.device) < SHOWN_SHARE
        return WithEstimate(c, estimate * seen)
