"""x_t asks the history: attention over its items, at every step anew."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.denoisers._layers import Layers
from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig
from unblur.nn.embedding import EmbeddingConfig
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import owners, row_softmax, row_sums

HEADS = 4


class Config(DenoiserConfig, EmbeddingConfig):
    """Those of the layers, and the width of the items that are attended to."""


class Attended(NamedTuple):
    """The condition: histories (B, n_items), keys and values (nnz, heads, d / heads), the encoder's part if any."""

    history: Tensor
    keys: Tensor
    values: Tensor
    vector: Tensor | None


class Network(Layers):
    """An MLP on [x_t, time embedding, attention], the query coming from x_t and t, keys and values from the items.

    A user costs as many entries as there are items in the history: nothing is padded.
    """

    ATTENDS = True

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        d = config.embedding_dim
        super().__init__(n, config, conditioning, beside=d)
        self.heads = math.gcd(HEADS, d)
        self.embedding = matrix(conditioning.n_items, d)
        self.query = linear_layer(config.dims[-1], d)
        self.key = linear_layer(d, d, bias=False)  # a softmax would not see the bias
        self.value = linear_layer(d, d)
        self.w_attended = matrix(d, config.dims[-1], n + d)

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return 10 * config.embedding_dim * entries

    def encode(self, condition: Condition) -> Attended:
        history = condition.rows
        items = F.embedding(history.col_indices(), self.embedding)
        return Attended(history, self._heads(self.key(items)), self._heads(self.value(items)), self.encoded(condition))

    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        first = self.timed(projected, t)
        if c is None:
            return self.after(first)
        first = first if c.vector is None else first + c.vector
        queries = self._heads(self.query(torch.tanh(first)))
        scores = (queries[owners(c.history)] * c.keys).sum(-1) / math.sqrt(c.keys.shape[-1])  # (nnz, heads)
        seen = row_sums(c.history, row_softmax(c.history, scores).unsqueeze(-1) * c.values)
        return self.after(first + seen.flatten(1) @ self.w_attended)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(len(x), self.heads, x.shape[1] // self.heads)
