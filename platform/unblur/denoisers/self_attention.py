"""The history's items look at each other before they are summed up: a set encoder of the condition."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.denoisers.base import Layers
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import owners, row_softmax, row_sums


class Network(Layers):
    """An MLP on [x_t, time embedding, Set Transformer of the condition] (Lee et al. 2019, eq. 9-11).

    Self-attention goes through a few induced summaries of the history, so that it costs its length, not its square.
    """

    def __init__(
        self,
        n_items: int,
        dims: tuple[int, ...],
        dropout: float,
        normalize: bool,
        embedding_dim: int = 64,
        summaries: int = 4,
    ) -> None:
        super().__init__(n_items, dims, dropout, normalize, condition_dim=embedding_dim)
        self.embedding = matrix(n_items, embedding_dim)
        self.inducing = nn.Parameter(torch.randn(embedding_dim, summaries))
        self.seed = nn.Parameter(torch.randn(embedding_dim, 1))
        self.value, self.query, self.mix = (linear_layer(embedding_dim, embedding_dim) for _ in range(3))
        self.key = linear_layer(embedding_dim, embedding_dim, bias=False)  # a softmax would not see the bias
        self.w_condition = matrix(embedding_dim, dims[-1], n_items + embedding_dim)

    def encode(self, condition: Tensor | None) -> Tensor | None:
        if condition is None:
            return None
        items = F.embedding(condition.col_indices(), self.embedding)  # (nnz, d)
        items = items + torch.tanh(self.mix(self._attend(condition, items)))
        pooled = row_sums(condition, row_softmax(condition, self._scaled(items @ self.seed)) * items)
        return torch.tanh(pooled) @ self.w_condition

    def _attend(self, condition: Tensor, items: Tensor) -> Tensor:
        """What each item (nnz, d) sees of its user's other items, through the summaries."""
        own, values = owners(condition), self.value(items)
        weights = row_softmax(condition, self._scaled(items @ self.inducing))
        # one summary after the other keeps the intermediate results at (nnz, d)
        summaries = [row_sums(condition, w.unsqueeze(-1) * values) for w in weights.unbind(-1)]  # each (B, d)
        queries = self.query(items)
        scores = torch.stack([(queries * self.key(s)[own]).sum(-1) for s in summaries], dim=-1)
        attention = F.softmax(self._scaled(scores), dim=-1)
        return torch.stack(
            [a.unsqueeze(-1) * s[own] for a, s in zip(attention.unbind(-1), summaries, strict=True)]
        ).sum(0)

    def _scaled(self, scores: Tensor) -> Tensor:
        return scores / math.sqrt(self.embedding.shape[1])
