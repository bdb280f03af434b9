"""Sinusoidal embeddings of diffusion steps."""

import math

import torch
from torch import Tensor

TIME_DIM = 10
MAX_PERIOD = 10_000


def time_embedding(t: Tensor, dim: int = TIME_DIM) -> Tensor:
    """[cos, sin] of t (B,) at geometric frequencies: (B, dim) (Vaswani et al. 2017, as in DiffRec)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, device=t.device) / half)
    angles = t.float().unsqueeze(-1) * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
