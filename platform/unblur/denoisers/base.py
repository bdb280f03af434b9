"""What every denoiser promises, and the shape that most share: linear ends with anything between them."""

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from unblur.diffusion.rows import normalized, project
from unblur.diffusion.sampling import LinearNetwork

TIME_DIM = 10
MAX_PERIOD = 10_000


class Denoiser(nn.Module, ABC):
    """A network that predicts x_0, eps or v.

    Contract: a module `unblur/denoisers/<name>.py` holds one class `Network(n_items, dims, dropout, normalize, **own)`;
    GUIDED says whether it takes a condition.
    """

    GUIDED = True

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        """(B, n) from x_t (B, n), t (B,) int64 from 0 and the condition (B, n), sparse CSR, or None (null)."""


class LinearEnds(Denoiser):
    """x -> w_in -> anything of (t, condition) -> out. Its reverse chain runs in hidden space (`sampling`).

    Layers are DiffRec's: dims [200, 600] mean n -> 600 -> 200 -> 600 -> n, tanh between them, none at the end;
    dropout acts on the (normalised) input. The input layer is the sum of its parts' products, which equals a layer
    on the concatenation [x, time embedding, condition].
    """

    def __init__(
        self, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool, condition_dim: int = 0
    ) -> None:
        super().__init__()
        widths = (*dims[::-1], *dims[1:])
        fan_in = n_items + TIME_DIM + condition_dim
        self.normalize, self.dropout = normalize, nn.Dropout(dropout)
        self.w_in = xavier(nn.Parameter(torch.empty(n_items, widths[0])), fan_in)
        self.time = _linear(TIME_DIM, TIME_DIM)
        self.time_in = _linear(TIME_DIM, widths[0], fan_in)
        self.middle = nn.ModuleList(_linear(a, b) for a, b in pairwise(widths))
        self.out = _linear(widths[-1], n_items)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        projected = project(self.dropout(normalized(x_t)) if self.normalize else self.dropout(x_t), self.w_in)
        output: Tensor = self.out(self.hidden(projected, t, self.encode(condition)))
        return output

    def ends(self) -> LinearNetwork:
        """What the hidden-space chain needs of the network."""
        return LinearNetwork(self.w_in, self.out.weight, self.out.bias, self.normalize)

    def hidden(self, projected: Tensor, t: Tensor, encoded: Any) -> Tensor:
        """The vector (B, h) before the last layer, from the projected input (B, dims[-1]) and `encode`'s result."""
        h = projected + self.time_in(self.time(time_embedding(t).to(projected.dtype)))
        if encoded is not None:
            h = h + encoded
        h = torch.tanh(h)
        for layer in self.middle:
            h = torch.tanh(layer(h))
        return h

    def encode(self, condition: Tensor | None) -> Tensor | None:
        """What the condition adds to the first layer (B, dims[-1]), the same at every step; None for the null."""
        return None


def time_embedding(t: Tensor, dim: int = TIME_DIM) -> Tensor:
    """[cos, sin] of t (B,) at geometric frequencies: (B, dim) (Vaswani et al. 2017, as in DiffRec)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, device=t.device) / half)
    angles = t.float().unsqueeze(-1) * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def xavier(weight: nn.Parameter, fan_in: int) -> nn.Parameter:
    """The authors' initialisation: normal with variance 2 / (fan_in + fan_out), of a weight (n_in, n_out)."""
    nn.init.normal_(weight, 0.0, math.sqrt(2 / (fan_in + weight.shape[1])))
    return weight


def _linear(n_in: int, n_out: int, fan_in: int | None = None) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / ((fan_in or n_in) + n_out)))
    nn.init.normal_(layer.bias, 0.0, 0.001)
    return layer
