"""Transformer over sequences that are padded on the left (Vaswani et al. 2017; pre-norm as Xiong et al. 2020)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Self-attention and a feed-forward network, each after a layer norm and beside a residual connection."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inwards, self.outwards = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """x (B, L, dim); allowed: bool (B, 1, L, L), true where a query (row) may look at a key."""
        query, key, value = self._split(x)
        return self._out(x, self._mixed(query, key, value, allowed))

    def memory(self, x: Tensor) -> Tensor:
        """What places x (B, L, dim) are to those behind them: keys and values (2, B, heads, L, dim / heads)."""
        return self._split(x)[1:]

    def behind(self, newest: Tensor, memory: Tensor, allowed: Tensor) -> Tensor:
        """The same of one place (B, 1, dim) behind those of `memory`; allowed (B, 1, 1, L + 1)."""
        query, *own = self._split(newest)
        key, value = (torch.cat([before, last], dim=2) for before, last in zip(memory, own, strict=True))
        return self._out(newest, self._mixed(query, key, value, allowed))

    def _split(self, x: Tensor) -> Tensor:
        """Queries, keys and values, each (B, heads, L, dim / heads)."""
        inwards = self.inwards(self.norm_attention(x))
        split: Tensor = inwards.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split

    def _mixed(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
        """What multi-head attention takes from the values (B, L, dim)."""
        mixed = F.scaled_dot_product_attention(query, key, value, allowed, self.dropout if self.training else 0.0)
        out: Tensor = self.outwards(mixed.transpose(1, 2).flatten(-2))
        return out

    def _out(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self._dropped(attended)
        return x + self._dropped(self.narrow(self._dropped(F.gelu(self.widen(self.norm_feed_forward(x))))))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Transformer(nn.Module):
    """Learned positions, counted from the oldest item, and a stack of blocks.

    What comes out at a real place depends on the real places it may see alone: not on how much padding there is, nor
    on the batch's other rows. With `causal` these are the places up to its own.
    """

    def __init__(self, dim: int, blocks: int, heads: int, max_length: int, dropout: float, causal: bool = True) -> None:
        super().__init__()
        self.causal, self.dropout = causal, dropout
        self.positions = nn.Embedding(max_length, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.apply(_initialise)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, L, dim) from x (B, L, dim) and `real`, bool (B, L), false where there is padding."""
        place = (real.cumsum(1) - 1).clamp(min=0)
        x = F.dropout((x + self.positions(place)), self.dropout, self.training) * real.unsqueeze(-1)
        allowed = visible(real, self.causal)
        for block in self.blocks:
            x = block(x, allowed)
        normed: Tensor = self.norm(x)
        return normed


def visible(real: Tensor, causal: bool) -> Tensor:
    """Which keys each query may look at (B, 1, L, L): real ones, with `causal` none after it; padding sees itself,
    since a softmax over nothing is not a number."""
    length = real.shape[1]
    allowed = real[:, None, None, :].expand(-1, 1, length, -1)
    if causal:
        allowed = allowed & torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    return allowed | torch.eye(length, dtype=torch.bool, device=real.device)


def _initialise(module: nn.Module) -> None:
    """Normal weights of deviation .02 and no biases, as in BERT."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
