"""The null condition as a vector of its own (DreamRec, Yang et al. 2023, section 3.2)."""

import torch
from torch import Tensor, nn

from unblur.diffusion.condition import Condition
from unblur.encoders import Encoder
from unblur.nn.sparse import dense


class LearnedNullVector(nn.Module):
    """An encoder whose vector of an empty history is learned."""

    def __init__(self, encoder: Encoder, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.null = nn.Parameter(torch.randn(size) * 0.01)

    def read(self, condition: Condition) -> Tensor:
        """(B, size) of a condition."""
        return torch.where(condition.empty.unsqueeze(-1), self.null, dense(self.encoder.read(condition)))
