"""The CFG paper's network (Buchanan et al. 2024): the normalised condition is concatenated to the input."""

from torch import Tensor

from unblur.denoisers.base import Layers
from unblur.nn.layers import matrix
from unblur.nn.sparse import normalized, project


class Network(Layers):
    """An MLP on [x_t, time embedding, condition / ||condition||]."""

    def __init__(self, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool) -> None:
        super().__init__(n_items, dims, dropout, normalize, condition_dim=n_items)
        self.w_condition = matrix(n_items, dims[-1], 2 * n_items)

    def encode(self, condition: Tensor | None) -> Tensor | None:
        return None if condition is None else project(normalized(condition), self.w_condition)
