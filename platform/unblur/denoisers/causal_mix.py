"""ADRec's network (Chen et al., KDD 2025): x_t of each place joins what a causal transformer knows there, and a second
one denoises; every place has a noise of its own.

`as_published` is the authors' code (src/adrec.py, src/model.py of Nemo-1024/ADRec): its positions are commented out,
and its mask is one of queries, so that padding is attended to. Blocks are pre-norm here and post-norm there.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.sequences import Ints
from unblur.denoisers._in_order import InOrder, InOrderConfig, published_mask
from unblur.diffusion.condition import Condition, EveryPlace
from unblur.diffusion.denoiser import Conditioning, encoded
from unblur.nn.history_transformer import by_length
from unblur.nn.layers import matrix
from unblur.nn.sparse import dense
from unblur.nn.transformer import Block, visible


class Config(InOrderConfig):
    """Those of every such network; `blocks` are as many in each of the two transformers."""


class Every(NamedTuple):
    """What is known at all places of histories of similar length, each of which has an x_t."""

    rows: Tensor
    """Which of x_t's rows they have (m,)."""
    asked: Tensor
    """The places of these rows: bool (h, L)."""
    known: Tensor
    """c at each place, 0 where nothing is told (h, L, n)."""
    mask: Tensor
    """Which keys each query looks at (h, 1, L, L)."""


class Newest(NamedTuple):
    """What is known at the newest place of such histories, which alone has an x_t."""

    rows: Tensor
    """Which of x_t's rows they have (h,)."""
    known: Tensor
    """c there, 0 where nothing is told (h, 1, n)."""
    memories: list[Tensor]
    """What the places before it are to it, in each block."""
    mask: Tensor
    """Which of them, and itself, it looks at (h, 1, 1, L)."""


class Told(NamedTuple):
    """What is known of histories, in groups; and the encoder's share (b, n) of x_t's rows, if there is one."""

    groups: list[Every | Newest]
    vector: Tensor | None


class Network(InOrder):
    """c + delta (x_t + time(t)) at each place, through causal blocks; c from LN(e_i + position) through others.

    In training all places have an x_t, of the item behind them. In a chain the newest has one; behind the others lie
    the items that are known, at t = 0, and what comes of them serves all steps.
    """

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__(n, config, conditioning)
        self.norm_known = nn.LayerNorm(n)
        self.reading, self.denoising = (
            nn.ModuleList(Block(n, config.heads, config.history_dropout) for _ in range(config.blocks))
            for _ in range(2)
        )
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, n)

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return 2 * config.kept(histories)

    @staticmethod
    def work(config: Config, lengths: Ints) -> float:
        """Both transformers; as published all are padded to the greatest length."""
        return 2 * config.work(np.full_like(lengths, config.max_length) if config.as_published else lengths)

    def encode(self, condition: Condition) -> Told:
        return Told(list(self._groups(condition)), encoded(self.encoder, condition, lambda: self.w_condition))

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        told = Told(list(self._groups(self.nobody(t))), None) if c is None else c
        mixed = self.timed(dense(x_t), t)
        mixed = self.config.mixing * (mixed if told.vector is None else mixed + told.vector)
        out = torch.zeros_like(mixed)
        for group in told.groups:
            own = mixed[group.rows]
            denoised = self._every(own, group) if isinstance(group, Every) else self._newest(own, group)
            out = out.index_copy(0, group.rows, self.norm_out(denoised))
        return out

    def _every(self, mixed: Tensor, group: Every) -> Tensor:
        h = group.known.index_put((group.asked,), mixed, accumulate=True)
        for block in self.denoising:
            h = block(h, group.mask)
        return h[group.asked]

    def _newest(self, mixed: Tensor, group: Newest) -> Tensor:
        h = group.known + mixed.unsqueeze(1)
        for block, memory in zip(cast(Iterable[Block], self.denoising), group.memories, strict=True):
            h = block.behind(h, memory, group.mask)
        return h.squeeze(1)

    def _groups(self, condition: Condition) -> Iterator[Every | Newest]:
        """Histories of similar length, or as published all of them as long as may be."""
        every = isinstance(condition, EveryPlace)
        items = self.whole(condition.histories if isinstance(condition, EveryPlace) else condition.tensor)
        real, embedded = items < len(self.items), self.embedded(items)
        numbers = (real.flatten().cumsum(0) - 1).view_as(items)  # of x_t's rows, where each place has one
        for rows, width in [self._all(items)] if self.config.as_published else by_length(real):
            places, there = embedded[rows, -width:], real[rows, -width:]
            if every:
                of_rows = numbers[rows, -width:][there]
                yield self._told_everywhere(of_rows, places, there, condition.empty[of_rows])
            else:
                yield self._told_at_the_newest(rows, items[rows, -width:], places, there, condition.empty[rows])

    def _told_everywhere(self, rows: Tensor, places: Tensor, real: Tensor, empty: Tensor) -> Every:
        """A place of which nothing is told knows nothing and looks at no other one."""
        alone = torch.zeros_like(real).index_put((real,), empty)
        known = self._read(places, real).masked_fill(alone.unsqueeze(-1), 0)
        mask = self._mask(real, places.dtype)
        if not self.config.as_published:
            itself = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
            mask = mask & (itself | ~alone[:, None, :, None])
        return Every(rows, real, known, mask)

    def _told_at_the_newest(self, rows: Tensor, items: Tensor, places: Tensor, real: Tensor, empty: Tensor) -> Newest:
        known, mask, memories = self._read(places, real), self._mask(real, places.dtype), []
        h = known[:, :-1] + self.config.mixing * self._behind(items)
        for block in cast(Iterable[Block], self.denoising):
            memories.append(block.memory(h))
            h = block(h, mask[:, :, :-1, :-1]) if h.shape[1] else h
        return Newest(rows, known[:, -1:].masked_fill(empty[:, None, None], 0), memories, mask[:, :, -1:])

    def _behind(self, items: Tensor) -> Tensor:
        """The item behind each place but the newest (h, L - 1, n), without noise, at t = 0."""
        clean = F.embedding(items[:, 1:].clamp(max=len(self.items) - 1), self.items)
        return self.timed(clean * (items[:, :-1] < len(self.items)).unsqueeze(-1), items.new_zeros(1))

    def _read(self, places: Tensor, real: Tensor) -> Tensor:
        """c at each place (h, L, n)."""
        mask = self._mask(real, places.dtype)
        for block in self.reading:
            places = block(places, mask)
        known: Tensor = self.norm_known(places)
        return known

    def _mask(self, real: Tensor, dtype: torch.dtype) -> Tensor:
        """Which keys each query looks at (h, 1, L, L): none behind it."""
        if not self.config.as_published:
            return visible(real, causal=True)
        behind = torch.full((real.shape[1], real.shape[1]), -torch.inf, dtype=dtype, device=real.device).triu(1)
        return published_mask(real, dtype) + behind

    @staticmethod
    def _all(items: Tensor) -> tuple[Tensor, int]:
        return torch.arange(len(items), device=items.device), items.shape[1]
