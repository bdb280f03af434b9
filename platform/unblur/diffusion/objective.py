"""The contract of a training objective: what a denoised batch costs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from unblur.diffusion.condition import Condition
from unblur.diffusion.predictions import Prediction


@dataclass(frozen=True)
class Denoised:
    """A batch that was noised and denoised; all (B, n) but t (B,)."""

    x_0: Tensor
    x_t: Tensor
    noise: Tensor
    t: Tensor
    output: Tensor
    """The network's."""
    x_0_hat: Tensor
    """What the output says of x_0; with an objective that has an activation, before it (logits)."""
    told: Condition | None = None
    """What the network was told in this step; None where it is told nothing."""
    scored: Callable[[Tensor], Tensor] = lambda x_0: x_0
    """Scores of the items (B, n_items) for an x_0 (B, n)."""
    denoise: "Callable[[Tensor], Denoised] | None" = None
    """The same of another x_0 (B, n): noised to the same steps by noise of its own, denoised knowing the same."""
    item_table: Tensor | None = None
    """Embeddings of items (n_items, n) whose inner products with x_0 the scores are, where these are too many to hold:
    those of all places of histories at once."""

    @cached_property
    def scores(self) -> Tensor:
        """What x_0_hat says of the items (B, n_items); made when an objective asks for it."""
        return self.scored(self.x_0_hat)


class Objective(ABC):
    """A part of `unblur.diffusion.objectives`: one file with this class, named `Objective`, and its `Config`."""

    WEIGHTED: ClassVar[bool] = True
    """Whether the bound's weights of the steps (eq. 11) have a meaning for it."""
    OF_X0: ClassVar[bool] = False
    """Whether the network must predict x_0 itself."""
    OF_COUNTS: ClassVar[bool] = False
    """Whether x_0 must hold interactions, so that a share of them has a meaning."""
    OF_HIDDEN: ClassVar[bool] = False
    """Whether it is about what the condition hides of x_0."""
    OF_SCORES: ClassVar[bool] = False
    """Whether it moves scores freely, so that x_0 must not be the scores themselves."""

    def __init__(self, config: Any, prediction: Prediction) -> None:
        self.config, self.prediction = config, prediction

    @abstractmethod
    def __call__(self, denoised: Denoised, rows: Tensor) -> Tensor:
        """Unweighted losses (B,). rows (B, n_items), sparse CSR: what x_0 was made of."""

    def activation(self, x_0: Tensor) -> Callable[[Tensor], Tensor] | None:
        """What turns an output (B, n) into a prediction, given the x_0 (B, n) that a chain starts from."""
        return None
