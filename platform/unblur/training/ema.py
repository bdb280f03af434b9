"""The running average of the weights, which wavers less from epoch to epoch than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Follows a model's parameters: after step n it is d of what it was and 1 - d of them (Ho et al. 2020).

    d = min(decay, (1 + n) / (10 + n)), so that an average over many steps does not begin with weights that have learned
    nothing (as in TensorFlow's ExponentialMovingAverage). torch.optim.swa_utils.AveragedModel would copy the whole
    model, which one that holds a sparse matrix does not allow.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.parameters = list(model.parameters())
        self.values = [parameter.detach().clone() for parameter in self.parameters]
        self.decay, self.steps = decay, 0

    def follow(self) -> None:
        """Called after each step."""
        d = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self.parameters], 1 - d)
        self.steps += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model's parameters are the averages as long as the block runs."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for i, parameter in enumerate(self.parameters):
            parameter.data, self.values[i] = self.values[i], parameter.data

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs."""
        return {**{str(i): value for i, value in enumerate(self.values)}, "steps": torch.tensor(self.steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.steps = int(state["steps"])
        for i, value in enumerate(self.values):
            value.copy_(state[str(i)])
