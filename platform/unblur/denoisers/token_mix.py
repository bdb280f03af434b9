"""DiffuRec's network (Li et al., TOIS 2023): x_t is mixed into every item of the history, which a transformer reads."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.sequences import Ints
from unblur.denoisers._in_order import InOrder, InOrderConfig, published_mask
from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Conditioning, encoded
from unblur.nn.history_transformer import by_length
from unblur.nn.layers import matrix
from unblur.nn.sparse import dense
from unblur.nn.transformer import Block, visible


class Config(InOrderConfig):
    """Those of every such network."""


class Group(NamedTuple):
    """Histories of similar length: their rows (b,), places (b, L, n), and a mask of attention (b, 1, L, L)."""

    rows: Tensor
    places: Tensor
    mask: Tensor


class Told(NamedTuple):
    """What is known of B histories, in groups; and the encoder's share (B, n), if there is one."""

    groups: list[Group]
    vector: Tensor | None


class Network(InOrder):
    """LN(e_i + position) + lambda (x_t + time(t)) at each place, through blocks in which all places see each other.

    x_0_hat is what comes out at the newest place. An empty history is one empty place.
    """

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__(n, config, conditioning)
        self.blocks = nn.ModuleList(Block(n, config.heads, config.history_dropout) for _ in range(config.blocks))
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, n)

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return config.kept(histories)

    @staticmethod
    def work(config: Config, lengths: Ints) -> float:
        """As published all are padded to the greatest length."""
        return config.work(np.full_like(lengths, config.max_length) if config.as_published else lengths)

    def encode(self, condition: Condition) -> Told:
        return Told(self._groups(condition.tensor), encoded(self.encoder, condition, lambda: self.w_condition))

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        told = Told(self._groups(self.nobody(t).tensor), None) if c is None else c
        mixed = self.timed(dense(x_t), t)
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
        """Histories (B, L): of similar length, or as published all of them as long as may be."""
        items = self.whole(items)
        real, places = items < len(self.items), self.embedded(items)
        if self.config.as_published:
            everybody = torch.arange(len(items), device=items.device)
            return [Group(everybody, places, published_mask(real, places.dtype))]
        return [
            Group(rows, places[rows, -width:], visible(real[rows, -width:], causal=False))
            for rows, width in by_length(real)
        ]
