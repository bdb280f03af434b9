"""PreferDiff's objective: x_0 is to be denoised well, and better than what others of the batch want (Liu et al. 2025).

lambda L+ - (1 - lambda) log sigma(-gamma (L+ - L-)). L+ is the distance of x_0_hat from x_0. L- is the same of the
negative: the centroid of the batch's other targets, noised to the same step and denoised knowing the same.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from unblur.diffusion import objective
from unblur.diffusion._squared_distance import mean_square
from unblur.diffusion.objective import Denoised
from unblur.parts import PartConfig


class Config(PartConfig):
    """The paper's; lambda is `generation_weight`."""

    generation_weight: float = Field(0.4, ge=0, le=1)
    """lambda, the share of the distance itself; the rest is preference's."""
    preference_scale: float = Field(5.0, gt=0)
    """gamma. The paper has the number of negatives in its place, the code 5."""
    distance: Literal["cosine", "squared"] = "cosine"
    """Of x_0_hat from x_0: (1 - cos)^2, or the mean of squares."""
    as_published: bool = False
    """As the authors' code and not their paper: L+ and L- are means of the batch, so that one sigmoid serves all."""


class Objective(objective.Objective):
    """A loss of each example (the paper), or of the batch (`as_published`; diffusion.py of lswhim/PreferDiff).

    The centroid is of the worker's share of a batch, which may hold the target itself again, as in the code.
    """

    WEIGHTED = False
    OF_X0 = True

    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        assert denoised.denoise is not None
        wanted, unwanted = self._distance(denoised), self._distance(denoised.denoise(_others(denoised.x_0)))
        if self.config.as_published:
            wanted, unwanted = (each.mean().expand(len(each)) if len(each) else each for each in (wanted, unwanted))
        preference = F.softplus(self.config.preference_scale * (wanted - unwanted))
        share = self.config.generation_weight
        losses: Tensor = share * wanted + (1 - share) * preference
        return losses

    def _distance(self, denoised: Denoised) -> Tensor:
        if self.config.distance == "squared":
            return mean_square(denoised.x_0_hat, denoised.x_0)
        return (1 - F.cosine_similarity(denoised.x_0_hat, denoised.x_0, dim=-1)).square()


def _others(x_0: Tensor) -> Tensor:
    """The mean of all other rows, for each row of x_0 (B, n); 0 where there are none."""
    return (x_0.sum(0) - x_0) / max(len(x_0) - 1, 1)
