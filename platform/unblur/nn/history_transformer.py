"""What transformers over histories share: their parameters, and groups of histories of similar length."""

from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from unblur.data.sequences import Ints, octaves
from unblur.nn.embedding import EmbeddingConfig
from unblur.parts import ORDER

PLACE_VECTORS = 48  # of the embeddings' size that training keeps of each place and layer, roughly
MAP_COPIES = 6  # of each attention map: scores, mask, weights, dropout, and their gradients


class HistoryTransformerConfig(EmbeddingConfig):
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

    def kept(self, histories: int) -> int:
        """Roughly how many numbers training keeps, beside the weights, of a batch of so many histories."""
        vectors = self.embedding_dim * PLACE_VECTORS * (1 + self.blocks)
        maps = MAP_COPIES * self.blocks * self.heads * self.max_length
        return histories * self.max_length * (vectors + maps)

    def work(self, lengths: Ints) -> float:
        """Roughly how many multiply-adds a pass over histories of these lengths (b,) takes: layers, and attention."""
        read = np.minimum(lengths, self.max_length).astype(np.float64)
        d = self.embedding_dim
        return float(self.blocks * (12 * d * d * read.sum() + 2 * d * np.square(read).sum()))


def by_length(real: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Rows (b,) of histories of similar length, and the longest of these; real: bool (B, L), padded on the left."""
    lengths = real.sum(1).cpu().numpy()
    for group in octaves(lengths):
        yield torch.from_numpy(group).to(real.device), max(1, int(lengths[group].max(initial=0)))


def in_groups(network: Callable[..., Tensor], real: Tensor, *inputs: Tensor) -> Tensor:
    """network(*inputs) (B, L, d), by groups of histories of similar length; 0 at places that none of a group has.

    inputs (B, L, ...); real: bool (B, L), padded on the left.
    """
    parts = [(rows, width, network(*(each[rows, -width:] for each in inputs))) for rows, width in by_length(real)]
    out = parts[0][2].new_zeros(*real.shape, parts[0][2].shape[-1])
    for rows, width, part in parts:
        out[rows, -width:] = part
    return out
