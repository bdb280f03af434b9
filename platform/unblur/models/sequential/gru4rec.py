"""GRU4Rec: a recurrent network over the history (Hidasi et al. 2016), trained at every place."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.models.sequential._next_item import NextItem
from unblur.models.sequential._sequence_model import SequenceConfig


class Config(SequenceConfig):
    """Stacked GRU layers, as wide as the embeddings."""


class Recurrent(nn.Module):
    """A GRU that begins with the first real place: padding on the left does not move its state."""

    def __init__(self, dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.gru = nn.GRU(dim, dim, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, L, dim) from x (B, L, dim) and `real`, bool (B, L)."""
        places = torch.arange(x.shape[1], device=x.device)
        padding = (~real).sum(1, keepdim=True)
        x = F.dropout(_taken(x, places + padding), self.dropout, self.training)
        hidden, _ = self.gru(x)  # what lies after the last real place comes too late to matter
        out: Tensor = self.out(F.dropout(_taken(hidden, places - padding), self.dropout, self.training))
        return out


class Model(NextItem[Config]):
    """What is known of a user is the GRU's state, through a linear layer."""

    config_class = Config

    def make_encoder(self) -> Recurrent:
        return Recurrent(self.config.dim, self.config.blocks, self.config.dropout)


def _taken(x: Tensor, places: Tensor) -> Tensor:
    """x (B, L, d) at places (B, L), or at the nearest end for those outside."""
    clamped = places.clamp(0, x.shape[1] - 1)
    return x.gather(1, clamped.unsqueeze(-1).expand(-1, -1, x.shape[2]))
