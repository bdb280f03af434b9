"""A transformer denoiser: x_t as a few tokens, t and the condition through adaptive norms (DiT)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig, LinearEnds
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.sparse import project
from unblur.nn.time_embedding import TIME_DIM, time_embedding

MAX_TOKENS = 4


class Config(DenoiserConfig):
    """Those of the layers: the last of `dims` is the width, all tokens together; there are as many blocks as dims."""


class Network(LinearEnds):
    """Blocks of attention among tokens and an MLP, modulated by t and the condition (Peebles & Xie 2023, adaLN).

    Unlike DiT's, the gates do not start at zero, so that every parameter learns from the first step.
    """

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        width = config.dims[-1]
        super().__init__(n, width, width, config)
        self.tokens = math.gcd(MAX_TOKENS, width)
        d = width // self.tokens
        self.position = nn.Parameter(torch.randn(self.tokens, d) * 0.1)
        self.time = nn.Sequential(linear_layer(TIME_DIM, d), nn.SiLU(), linear_layer(d, d))
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, d)
        self.blocks = nn.ModuleList(Block(d) for _ in config.dims)

    def encode(self, condition: Condition) -> Tensor | None:
        """What is added to the time embedding: (B, width / tokens); None without an encoder."""
        return None if self.encoder is None else project(self.encoder.read(condition), self.w_condition)

    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        time = self.time(time_embedding(t).to(projected.dtype))  # (B, d)
        modulating = F.silu(time if c is None else time + c)
        h = projected.view(len(projected), self.tokens, -1) + self.position  # (B, tokens, d)
        for block in self.blocks:
            h = block(h, modulating)
        return torch.tanh(h).flatten(1)


class Block(nn.Module):
    """Attention among the tokens, then an MLP on each; c shifts, scales and gates both."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.modulation = linear_layer(d, 6 * d)
        nn.init.ones_(self.modulation.bias[2 * d : 3 * d])  # the gates are open at first
        nn.init.ones_(self.modulation.bias[5 * d :])
        self.qkv, self.joined = linear_layer(d, 3 * d), linear_layer(d, d)
        self.mlp = nn.Sequential(linear_layer(d, 4 * d), nn.GELU(), linear_layer(4 * d, d))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """(B, tokens, d) from h (B, tokens, d) and c (B, d)."""
        shift, scale, gate, shift_2, scale_2, gate_2 = self.modulation(c).unsqueeze(1).chunk(6, dim=-1)
        q, k, v = self.qkv(_norm(h) * (1 + scale) + shift).chunk(3, dim=-1)
        h = h + gate * self.joined(F.scaled_dot_product_attention(q, k, v))
        out: Tensor = h + gate_2 * self.mlp(_norm(h) * (1 + scale_2) + shift_2)
        return out


def _norm(h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:])
