"""Gaussian noise that depends on (seed, user, item) alone.

A counter-based generator: no state, no loop, the same numbers for a user in whatever block, worker or device
they are drawn.
"""

import math

import torch
from torch import Tensor

# Steele et al. 2014 (SplitMix64), as signed 64-bit integers: torch's multiplication wraps around
_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def row_noise(seed: int, rows: Tensor, n: int, stream: int = 0) -> Tensor:
    """Standard normal noise (B, n) for the rows (B,) int64. `stream` separates independent draws, such as steps."""
    pairs = (n + 1) // 2
    key = _mix(_mix(torch.full_like(rows, seed) * _GAMMA + stream) + rows * _GAMMA)
    bits = _mix(key.unsqueeze(-1) + torch.arange(1, pairs + 1, device=rows.device) * _GAMMA)
    # 24 bits each, all that a float32 holds; + 1 keeps the logarithm finite
    radius = torch.sqrt(-2 * torch.log((_shift(bits, 40) + 1).float() / (1 << 24)))
    angle = (bits & 0xFFFFFF).float() * (2 * math.pi / (1 << 24))
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[:, :n]


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _MIX_1
    z = (z ^ _shift(z, 27)) * _MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
