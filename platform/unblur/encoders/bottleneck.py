"""A bottleneck: the mean taste of a history as a short embedding."""

import torch
from torch import Tensor

from unblur import encoders
from unblur.nn.embedding import EmbeddingConfig
from unblur.nn.layers import matrix
from unblur.nn.sparse import normalized, project


class Config(EmbeddingConfig):
    """The embedding's width."""


class Encoder(encoders.Encoder):
    """tanh(E history / ||history||) with E (n_items, embedding_dim)."""

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        self.embedding = matrix(n_items, config.embedding_dim)

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return config.embedding_dim

    def forward(self, history: Tensor) -> Tensor:
        return torch.tanh(project(normalized(history), self.embedding))
