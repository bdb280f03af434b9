"""ADRec's network (Chen et al., KDD 2025): x_t of each place joins what a causal transformer knows there, and a second
one denoises; every place has a noise of its own.

`as_published` is the authors' code (src/adrec.py, src/model.py of Nemo-1024/ADRec): its positions are commented out,
and its mask is one of queries, so that padding is attended to. Blocks are pre-norm here and post-norm there.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.denoisers._in_order import InOrder, InOrderConfig, published_mask
from unblur.diffusion.condition import Condition, EveryPlace
from unblur.diffusion.denoiser import Conditioning, encoded
from unblur.nn.history_transformer import in_groups
from unblur.nn.layers import matrix
from unblur.nn.sparse import dense
from unblur.nn.transformer import Block, visible


class Config(InOrderConfig):
    """Those of every such network; `blocks` are as many in each of the two transformers."""


class Told(NamedTuple):
    """What is known of histories (h, L)."""

    known: Tensor
    """At each place, 0 where nothing is told (h, L, n)."""
    behind: Tensor
    """What lies behind each place, without noise, where it is known (h, L, n)."""
    real: Tensor
    """Where there is no padding: bool (h, L)."""
    alone: Tensor
    """Places that see no other one, since nothing is told: bool (h, L)."""
    asked: Tensor
    """The places of x_t's rows: bool (h, L)."""
    vector: Tensor | None
    """The encoder's share of these rows (b, n), if there is one."""


class Network(InOrder):
    """c + delta (x_t + time(t)) at each place, through causal blocks; c from LN(e_i + position) through others.

    In training all places have an x_t, of the item behind them. In a chain the newest has one, and behind the others
    lie the items that are known, at t = 0.
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

    def encode(self, condition: Condition) -> Told:
        return self._told(condition, encoded(self.encoder, condition, lambda: self.w_condition))

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        told = self._told(self.nobody(t), None) if c is None else c
        mixed = self.timed(dense(x_t), t)
        mixed = mixed if told.vector is None else mixed + told.vector
        h = told.known + self.config.mixing * told.behind.index_put((told.asked,), mixed)
        out: Tensor = self.norm_out(self._through(self.denoising, h, told.real, told.alone)[told.asked])
        return out

    def _told(self, condition: Condition, vector: Tensor | None) -> Told:
        items = self.whole(condition.histories if isinstance(condition, EveryPlace) else condition.tensor)
        real = items < len(self.items)
        asked = real if isinstance(condition, EveryPlace) else _newest(real)
        alone = torch.zeros_like(real).index_put((asked,), condition.empty)
        known = self.norm_known(self._through(self.reading, self.embedded(items), real, torch.zeros_like(real)))
        return Told(known.masked_fill(alone.unsqueeze(-1), 0), self._behind(items), real, alone, asked, vector)

    def _behind(self, items: Tensor) -> Tensor:
        """The item behind each place of (h, L), at t = 0; what is behind the newest is not known."""
        following = F.pad(items[:, 1:], (0, 1), value=len(self.items))
        clean = F.embedding(following.clamp(max=len(self.items) - 1), self.items)
        first: Tensor = self.timed(clean * (items < len(self.items)).unsqueeze(-1), items.new_zeros(1))
        return first

    def _through(self, blocks: nn.ModuleList, x: Tensor, real: Tensor, alone: Tensor) -> Tensor:
        """x (h, L, n) through causal blocks, histories of similar length together unless as published."""

        def run(x: Tensor, real: Tensor, alone: Tensor) -> Tensor:
            mask = self._mask(real, alone, x.dtype)
            for block in blocks:
                x = block(x, mask)
            return x

        return run(x, real, alone) if self.config.as_published else in_groups(run, real, x, real, alone)

    def _mask(self, real: Tensor, alone: Tensor, dtype: torch.dtype) -> Tensor:
        """Which keys each query looks at (h, 1, L, L)."""
        if self.config.as_published:
            ahead = torch.full(real.shape[1:] * 2, -torch.inf, dtype=dtype, device=real.device).triu(1)
            return published_mask(real, dtype) + ahead
        itself = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
        return visible(real, causal=True) & (itself | ~alone[:, None, :, None])


def _newest(real: Tensor) -> Tensor:
    """The last of the places (h, L)."""
    return (torch.arange(real.shape[1], device=real.device) == real.shape[1] - 1).expand_as(real)
