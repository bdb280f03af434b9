"""Cross-entropy over all items: the one that comes next should score highest (DiffuRec, Li et al. 2023, eq. 16)."""

from pydantic import Field
from torch import Tensor

from unblur.diffusion import objective
from unblur.diffusion._squared_distance import mean_square
from unblur.diffusion.objective import Denoised
from unblur.nn import full_softmax
from unblur.nn.sparse import TINY, owners, row_sums
from unblur.parts import PartConfig


class Config(PartConfig):
    """What stands beside it."""

    x0_weight: float = Field(0.0, ge=0)
    """Weight of the squared error of x_0 beside the cross-entropy (ADRec takes both)."""


class Objective(objective.Objective):
    """-log softmax(scores)_i + w mean (x_0_hat - x_0)^2, the first being the mean over the items of x_0."""

    WEIGHTED = False
    OF_SCORES = True

    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        losses = self._losses(denoised, rows)
        if self.config.x0_weight == 0:
            return losses
        mixed: Tensor = losses + self.config.x0_weight * mean_square(denoised.x_0_hat, denoised.x_0)
        return mixed

    def _losses(self, denoised: Denoised, rows: Tensor) -> Tensor:
        if denoised.item_table is not None:  # at a place there is one item
            return full_softmax.cross_entropy(denoised.x_0_hat, denoised.item_table, rows.col_indices())
        scores, weights = denoised.scores, rows.values().clamp(min=0)
        own = row_sums(rows, weights * scores[owners(rows), rows.col_indices()])
        return scores.logsumexp(-1) - own / row_sums(rows, weights).clamp(min=TINY)
