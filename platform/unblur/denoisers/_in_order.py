"""What denoisers have in common into whose items of a history, in their order, x_t is mixed."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.diffusion.condition import OrderedItems
from unblur.diffusion.denoiser import Conditioning, Denoiser
from unblur.nn.history_transformer import HistoryTransformerConfig
from unblur.nn.layers import linear_layer
from unblur.nn.time_embedding import time_embedding

MASKED = -1e9
"""What the authors' code adds to scores that it masks."""


class InOrderConfig(HistoryTransformerConfig):
    """Those of the transformer, how much of x_t is mixed in, and whether the authors' code is followed."""

    mixing: float = Field(0.001, ge=0)
    """delta: what is added of x_t. token_mix draws the factor of each number from N(delta, delta) in training."""
    embedding_dropout: float = Field(0.3, ge=0, lt=1)
    """Share of numbers dropped of the items' embeddings, before they are normalised."""
    as_published: bool = False
    """As the authors' code: no positions, and real places attend to padding as to items."""


class InOrder(Denoiser):
    """Embeddings of the items of a history, at places (b, L, n), and an embedding of t."""

    ATTENDS: ClassVar[bool] = True
    OF_ITEMS: ClassVar[bool] = True

    def __init__(self, n: int, config: InOrderConfig, conditioning: Conditioning) -> None:
        super().__init__()
        self.config, self.time_dim = config, n + n % 2
        self.items = nn.Parameter(torch.randn(conditioning.n_items, n))
        # of padding, or of the places of what is real
        self.padding = nn.Parameter(torch.randn(n)) if config.as_published else None
        self.positions = None if config.as_published else nn.Parameter(torch.randn(config.max_length, n))
        self.norm_in, self.norm_out = nn.LayerNorm(n), nn.LayerNorm(n)
        self.time = nn.Sequential(linear_layer(self.time_dim, 4 * n), nn.SiLU(), linear_layer(4 * n, n))

    @staticmethod
    def newest(config: InOrderConfig) -> int:
        return config.max_length

    def share(self, items: nn.Parameter, std: float) -> None:
        """Positions and padding begin at the embeddings' scale, beside which theirs would be all that is heard."""
        self.items = items
        for beside in (self.padding, self.positions):
            if beside is not None:
                beside.data.mul_(std)

    def timed(self, x: Tensor, t: Tensor) -> Tensor:
        """x (b, n) and the embedding of t (b,)."""
        time: Tensor = self.time(time_embedding(t, self.time_dim).to(self.items.dtype))
        return x + time

    def nobody(self, t: Tensor) -> OrderedItems:
        """As many empty histories as there are steps (b,)."""
        return OrderedItems(t.new_full((len(t), 1), len(self.items)), len(self.items))

    def whole(self, items: Tensor) -> Tensor:
        """Histories (b, L) as they are read: as published, all of them padded to the greatest length."""
        missing = self.config.max_length - items.shape[1] if self.config.as_published else 0
        return F.pad(items, (missing, 0), value=len(self.items))

    def embedded(self, items: Tensor) -> Tensor:
        """Places (b, L, n) of items (b, L)."""
        real = items < len(self.items)
        embedded = F.embedding(items.clamp(max=len(self.items) - 1), self.items)
        if self.padding is not None:
            embedded = torch.where(real.unsqueeze(-1), embedded, self.padding)
        embedded = F.dropout(embedded, self.config.embedding_dropout, self.training)
        if self.positions is not None:
            embedded = (embedded + self.positions[(real.cumsum(1) - 1).clamp(min=0)]) * real.unsqueeze(-1)
        normed: Tensor = self.norm_in(embedded)
        return normed


def published_mask(real: Tensor, dtype: torch.dtype) -> Tensor:
    """The code's mask (b, 1, L, L), of queries: a place of padding sees everything alike, a real one sees padding."""
    alike = torch.zeros(real.shape, dtype=dtype, device=real.device).masked_fill(~real, MASKED)
    return alike[:, None, :, None].expand(-1, 1, -1, real.shape[1])
