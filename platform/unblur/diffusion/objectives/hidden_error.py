"""The squared error of what the condition hides alone: nothing is learned from copying what is known.

EDLAE (Steck 2020, section 3) weighs the errors of dropped and of kept entries by a and b; this is b = 0, with the
condition in place of the input.
"""

from torch import Tensor

from unblur.diffusion import objective
from unblur.diffusion._squared_distance import mean_square
from unblur.diffusion.objective import Denoised
from unblur.nn.sparse import owners
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Objective(objective.Objective):
    """The sum of (x_0_hat - x_0)^2 over the items that the network was not told, over n_items.

    Where the whole condition is dropped, all items count.
    """

    OF_X0 = True
    OF_COUNTS = True
    OF_HIDDEN = True

    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        assert denoised.told is not None
        told = denoised.told.rows
        there = told.values() != 0  # a weight of 0 is an item that was dropped
        places = owners(told)[there], told.col_indices()[there]
        target = denoised.x_0.clone()
        target[places] = denoised.x_0_hat.detach()[places]
        return mean_square(denoised.x_0_hat, target)
