"""A set encoder (Lee et al. 2019): the history's items look at each other before they are summed up."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur import encoders
from unblur.nn.embedding import EmbeddingConfig
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import owners, row_softmax, row_sums

SUMMARIES = 4


class Config(EmbeddingConfig):
    """The embeddings' width."""


class Encoder(encoders.Encoder):
    """A Set Transformer of the history (eq. 9-11).

    Self-attention goes through a few induced summaries of the history, so that it costs its length, not its square.
    """

    SIGNED = False

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        d = config.embedding_dim
        self.embedding = matrix(n_items, d)
        self.inducing = nn.Parameter(torch.randn(d, SUMMARIES))
        self.seed = nn.Parameter(torch.randn(d, 1))
        self.value, self.query, self.mix = (linear_layer(d, d) for _ in range(3))
        self.key = linear_layer(d, d, bias=False)  # a softmax would not see the bias

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return config.embedding_dim

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return 10 * config.embedding_dim * entries

    def forward(self, history: Tensor) -> Tensor:
        items = F.embedding(history.col_indices(), self.embedding)  # (nnz, d)
        items = items + torch.tanh(self.mix(self._attend(history, items)))
        pooled = row_sums(history, row_softmax(history, self._scaled(items @ self.seed)) * items)
        return torch.tanh(pooled)

    def _attend(self, history: Tensor, items: Tensor) -> Tensor:
        """What each item (nnz, d) sees of its user's other items, through the summaries."""
        own, values = owners(history), self.value(items)
        weights = row_softmax(history, self._scaled(items @ self.inducing))
        # one summary after the other keeps the intermediate results at (nnz, d)
        summaries = [row_sums(history, w.unsqueeze(-1) * values) for w in weights.unbind(-1)]  # each (B, d)
        queries = self.query(items)
        scores = torch.stack([(queries * self.key(s)[own]).sum(-1) for s in summaries], dim=-1)
        attention = F.softmax(self._scaled(scores), dim=-1)
        return torch.stack(
            [a.unsqueeze(-1) * s[own] for a, s in zip(attention.unbind(-1), summaries, strict=True)]
        ).sum(0)

    def _scaled(self, scores: Tensor) -> Tensor:
        return scores / math.sqrt(self.embedding.shape[1])
