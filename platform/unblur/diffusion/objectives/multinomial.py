"""A multinomial likelihood over items (Liang et al. 2018, eq. 2), in place of the squared error."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from unblur.diffusion import objective
from unblur.diffusion.objective import Denoised
from unblur.nn.sparse import dense
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Objective(objective.Objective):
    """-sum_i x_0i log softmax(output)_i: predictions are shares of the sum of x_0, and every step weighs the same."""

    WEIGHTED = False
    OF_X0 = True
    OF_COUNTS = True

    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        # a dislike (negative) has no share
        return -(denoised.x_0.clamp(min=0) * F.log_softmax(denoised.output, dim=-1)).sum(-1)

    def activation(self, x_0: Tensor) -> Callable[[Tensor], Tensor]:
        totals = dense(x_0).clamp(min=0).sum(-1, keepdim=True)
        totals = totals.masked_fill(totals == 0, 1)  # without a history the shares themselves: what is popular
        return lambda logits: F.softmax(logits, dim=-1) * totals
