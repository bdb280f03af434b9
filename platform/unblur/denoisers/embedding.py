"""The condition through a bottleneck: the mean taste of a history as a short embedding, then into the first layer."""

import torch
from torch import Tensor

from unblur.denoisers.base import Layers
from unblur.nn.layers import matrix
from unblur.nn.sparse import normalized, project


class Network(Layers):
    """An MLP on [x_t, time embedding, tanh(E condition / ||condition||)] with E (n_items, embedding_dim)."""

    def __init__(
        self, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool, embedding_dim: int = 64
    ) -> None:
        super().__init__(n_items, dims, dropout, normalize, condition_dim=embedding_dim)
        self.embedding = matrix(n_items, embedding_dim)
        self.w_condition = matrix(embedding_dim, dims[-1], n_items + embedding_dim)

    def encode(self, condition: Tensor | None) -> Tensor | None:
        if condition is None:
            return None
        return torch.tanh(project(normalized(condition), self.embedding)) @ self.w_condition
