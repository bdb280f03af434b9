"""The CFG paper's network (Buchanan et al. 2024): the normalised condition is concatenated to the input."""

import torch
from torch import Tensor, nn

from unblur.denoisers.base import Layers, xavier
from unblur.diffusion.rows import normalized, project


class Network(Layers):
    """An MLP on [x_t, time embedding, condition / ||condition||]."""

    def __init__(self, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool) -> None:
        super().__init__(n_items, dims, dropout, normalize, condition_dim=n_items)
        self.w_condition = xavier(nn.Parameter(torch.empty(n_items, dims[-1])), 2 * n_items)

    def encode(self, condition: Tensor | None) -> Tensor | None:
        return None if condition is None else project(normalized(condition), self.w_condition)
