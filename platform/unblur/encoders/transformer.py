"""A causal transformer of the history in its order (Kang & McAuley 2018, SASRec): what the newest place knows."""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from unblur import encoders
from unblur.data.sequences import octaves
from unblur.nn.embedding import EmbeddingConfig
from unblur.nn.transformer import Transformer
from unblur.parts import ORDER

PLACE_VECTORS = 48  # of the embeddings' size that training keeps of each place and layer, roughly
MAP_COPIES = 6  # of each attention map


class Config(EmbeddingConfig):
    """The embeddings' width is that of all layers."""

    NEEDS = frozenset({ORDER})

    blocks: int = Field(1, ge=1)
    """Transformer blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads of each block; they divide embedding_dim."""
    max_length: int = Field(50, ge=1)
    """Newest items of a history that are read."""
    history_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of numbers dropped, of the history's embeddings and in every layer."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.embedding_dim % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide embedding_dim = {self.embedding_dim}")
        return self


class Encoder(encoders.Encoder):
    """Item embeddings of its own and learned positions through causal blocks; the vector of the newest place."""

    SIGNED = False

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        d = config.embedding_dim
        self.items = nn.Parameter(0.02 * torch.randn(n_items, d))
        self.blocks = Transformer(d, config.blocks, config.heads, config.max_length, config.history_dropout)

    def share(self, items: nn.Parameter) -> None:
        """Positions begin at the embeddings' scale, beside which those of its own would not be heard."""
        self.items = items
        nn.init.normal_(self.blocks.positions.weight, 0.0, float(items.detach().std()))

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return config.embedding_dim

    @staticmethod
    def newest(config: Config) -> int:
        return config.max_length

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        vectors = config.embedding_dim * PLACE_VECTORS * (1 + config.blocks)
        maps = MAP_COPIES * config.blocks * config.heads * config.max_length
        return histories * config.max_length * (vectors + maps)

    def forward(self, history: Tensor) -> Tensor:
        """Those of similar length are read together, which changes nothing but the time it takes."""
        lengths = (history < len(self.items)).sum(1).cpu().numpy()
        vectors = history.new_zeros((len(history), self.items.shape[1]), dtype=self.items.dtype)
        for group in octaves(lengths):
            width, rows = max(1, int(lengths[group].max(initial=0))), torch.from_numpy(group).to(history.device)
            vectors = vectors.index_copy(0, rows, self._newest(history[rows, -width:]))
        return vectors

    def _newest(self, items: Tensor) -> Tensor:
        """(b, embedding_dim) of items (b, L); 0 where there are none."""
        real = items < len(self.items)
        embedded = F.embedding(items.clamp(max=len(self.items) - 1), self.items) * real.unsqueeze(-1)
        vectors: Tensor = self.blocks(embedded, real)[:, -1]
        return vectors * real[:, -1:]
