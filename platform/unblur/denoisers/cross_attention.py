"""x_t asks the history: attention over its items, at every step anew."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.denoisers.base import Layers
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import owners, row_softmax, row_sums


class Network(Layers):
    """An MLP on [x_t, time embedding, attention], the query coming from x_t and t, keys and values from the items.

    A user costs as many entries as there are items in the condition: nothing is padded.
    """

    def __init__(
        self,
        n_items: int,
        dims: tuple[int, ...],
        dropout: float,
        normalize: bool,
        embedding_dim: int = 64,
        heads: int = 4,
    ) -> None:
        super().__init__(n_items, dims, dropout, normalize, condition_dim=embedding_dim)
        self.heads = math.gcd(heads, embedding_dim)
        self.embedding = matrix(n_items, embedding_dim)
        self.query = linear_layer(dims[-1], embedding_dim)
        self.key = linear_layer(embedding_dim, embedding_dim, bias=False)  # a softmax would not see the bias
        self.value = linear_layer(embedding_dim, embedding_dim)
        self.w_condition = matrix(embedding_dim, dims[-1], n_items + embedding_dim)

    def encode(self, condition: Tensor | None) -> Any:
        """The condition with its items' keys and values, each (nnz, heads, embedding_dim / heads)."""
        if condition is None:
            return None
        items = F.embedding(condition.col_indices(), self.embedding)
        return condition, self._heads(self.key(items)), self._heads(self.value(items))

    def hidden(self, projected: Tensor, t: Tensor, encoded: Any) -> Tensor:
        first = self.timed(projected, t)
        if encoded is None:
            return self.after(first)
        condition, keys, values = encoded
        queries = self._heads(self.query(torch.tanh(first)))
        scores = (queries[owners(condition)] * keys).sum(-1) / math.sqrt(keys.shape[-1])  # (nnz, heads)
        seen = row_sums(condition, row_softmax(condition, scores).unsqueeze(-1) * values)
        return self.after(first + seen.flatten(1) @ self.w_condition)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(len(x), self.heads, -1)
