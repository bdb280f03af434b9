"""DiffuRec's network (Li et al., TOIS 2023): x_t is mixed into every item of the history, which a transformer reads."""

from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.sequences import Ints
from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Conditioning, Denoiser, encoded
from unblur.nn.history_transformer import HistoryTransformerConfig, by_length
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import dense
from unblur.nn.time_embedding import time_embedding
from unblur.nn.transformer import Block, visible

MASKED = -1e9
"""What the authors' code adds to scores that it masks."""


class Config(HistoryTransformerConfig):
    """Those of the transformer, how much of x_t is mixed in, and whether their code is followed."""

    mixing: float = Field(0.001, ge=0)
    """delta: x_t is multiplied by lambda ~ N(delta, delta), drawn for each number in training; else by delta."""
    embedding_dropout: float = Field(0.3, ge=0, lt=1)
    """Share of numbers dropped of the items' embeddings, before they are normalised."""
    as_published: bool = False
    """As the authors' code and not their paper: no positions, and real places attend to padding as to items."""


class Group(NamedTuple):
    """Histories of similar length: their rows (b,), places (b, L, n), and a mask of attention (b, 1, L, L)."""

    rows: Tensor
    places: Tensor
    mask: Tensor


class Told(NamedTuple):
    """What is known of B histories, in groups; and the encoder's share (B, n), if there is one."""

    groups: list[Group]
    vector: Tensor | None


class Network(Denoiser):
    """LN(e_i + position) + lambda (x_t + time(t)) at each place, through blocks in which all places see each other.

    x_0_hat is what comes out at the newest place. An empty history is one empty place.
    """

    ATTENDS = True
    OF_ITEMS = True

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__()
        self.config, self.time_dim = config, n + n % 2
        self.items = nn.Parameter(torch.randn(conditioning.n_items, n))
        # of padding, or of the places of what is real
        self.padding = nn.Parameter(torch.randn(n)) if config.as_published else None
        self.positions = None if config.as_published else nn.Parameter(torch.randn(config.max_length, n))
        self.norm_in, self.norm_out = nn.LayerNorm(n), nn.LayerNorm(n)
        self.time = nn.Sequential(linear_layer(self.time_dim, 4 * n), nn.SiLU(), linear_layer(4 * n, n))
        self.blocks = nn.ModuleList(Block(n, config.heads, config.history_dropout) for _ in range(config.blocks))
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, n)

    @staticmethod
    def newest(config: Config) -> int:
        return config.max_length

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return config.kept(histories)

    @staticmethod
    def work(config: Config, lengths: Ints) -> float:
        """As published all are padded to the greatest length."""
        return config.work(np.full_like(lengths, config.max_length) if config.as_published else lengths)

    def share(self, items: nn.Parameter) -> None:
        self.items = items

    def encode(self, condition: Condition) -> Told:
        return Told(self._groups(condition.tensor), encoded(self.encoder, condition, lambda: self.w_condition))

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        told = Told(self._groups(t.new_full((len(t), 1), len(self.items))), None) if c is None else c
        mixed = dense(x_t) + self.time(time_embedding(t, self.time_dim).to(self.items.dtype))
        mixed = mixed if told.vector is None else mixed + told.vector
        out = torch.zeros_like(mixed)
        for group in told.groups:
            out = out.index_copy(0, group.rows, self._denoised(mixed[group.rows].unsqueeze(1), group))
        return out

    def _denoised(self, mixed: Tensor, group: Group) -> Tensor:
        """x_0_hat (b, n) of a group, given x_t + time(t) (b, 1, n)."""
        delta, h = self.config.mixing, group.places
        h = h + (delta + delta * torch.randn_like(h) if self.training else delta) * mixed
        for block in self.blocks:
            h = block(h, group.mask)
        newest: Tensor = self.norm_out(F.dropout(h[:, -1], self.config.history_dropout, self.training))
        return newest

    def _groups(self, items: Tensor) -> list[Group]:
        """Histories (B, L): of similar length, or as published all of them, padded to the greatest length."""
        if self.config.as_published:
            items = F.pad(items, (self.config.max_length - items.shape[1], 0), value=len(self.items))
        real = items < len(self.items)
        places = self._embedded(items, real)
        if self.config.as_published:  # their mask is one of queries: padding sees everything alike, and is seen
            alike = torch.zeros(real.shape, dtype=places.dtype, device=real.device).masked_fill(~real, MASKED)
            everybody = torch.arange(len(items), device=items.device)
            return [Group(everybody, places, alike[:, None, :, None].expand(-1, 1, -1, real.shape[1]))]
        return [
            Group(rows, places[rows, -width:], visible(real[rows, -width:], causal=False))
            for rows, width in by_length(real)
        ]

    def _embedded(self, items: Tensor, real: Tensor) -> Tensor:
        """Places (B, L, n) of items (B, L), of which `real` ones are no padding."""
        embedded = F.embedding(items.clamp(max=len(self.items) - 1), self.items)
        if self.padding is not None:
            embedded = torch.where(real.unsqueeze(-1), embedded, self.padding)
        embedded = F.dropout(embedded, self.config.embedding_dropout, self.training)
        if self.positions is not None:
            embedded = (embedded + self.positions[(real.cumsum(1) - 1).clamp(min=0)]) * real.unsqueeze(-1)
        normed: Tensor = self.norm_in(embedded)
        return normed
