"""What every denoiser promises, and the shape that all share so far: linear ends with anything between them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from unblur.diffusion.sampling import LinearNetwork
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.onednn import linear, tanh
from unblur.nn.sparse import dropped, normalized, project, row_squares

TIME_DIM = 10
MAX_PERIOD = 10_000
SELF_CONDITIONED_SHARE = 0.5


class Denoiser(nn.Module, ABC):
    """A network that predicts x_0, eps or v.

    Contract: a module `unblur/denoisers/<name>.py` holds one class `Network(n_items, dims, dropout, normalize, **own)`;
    GUIDED says whether it takes a condition.
    """

    GUIDED = True

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        """(B, n) from x_t (B, n), t (B,) int64 from 0 and the condition (B, n), sparse CSR, or None (null)."""

    def training_output(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None, to_x0: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """What training takes the loss of; `to_x0` gives the x_0 (B, n) that an output (B, n) stands for."""
        output: Tensor = self(x_t, t, condition)
        return output

    def knowing(self, estimate: Tensor | None) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        """`forward` for a step of a chain that has this estimate of x_0 (B, n) from its last step, None at first."""
        return self


class LinearEnds(Denoiser):
    """x -> w_in -> anything of (t, condition) -> out. Its reverse chain runs in hidden space (`sampling`).

    w_in (n, width), out from `out_width` to n; dropout acts on the (normalised) input. `fan_in` counts all inputs of
    the first layer.
    """

    def __init__(
        self, n_items: int, width: int, out_width: int, dropout: float, normalize: bool, fan_in: int | None = None
    ) -> None:
        super().__init__()
        self.dropout, self.normalize = dropout, normalize
        self.w_in = matrix(n_items, width, fan_in)
        self.out = linear_layer(out_width, n_items)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        ends = self.ends()
        return linear(self.hidden(self.project(x_t), t, self.encode(condition)), ends.w_out, ends.b_out)

    def project(self, x_t: Tensor) -> Tensor:
        """The first layer's share of x_t: (B, width)."""
        x_t = normalized(x_t) if self.normalize else x_t
        return project(dropped(x_t, self.dropout) if self.training else x_t, self.w_in)

    def ends(self) -> LinearNetwork:
        """What the hidden-space chain needs of the network."""
        return LinearNetwork(self.w_in, self.out.weight, self.out.bias, self.normalize)

    def encode(self, condition: Tensor | None) -> Any:
        """What every step needs of the condition, computed once; None for the null."""
        return None

    @abstractmethod
    def hidden(self, projected: Tensor, t: Tensor, encoded: Any) -> Tensor:
        """The vector (B, out_width) before the last layer, from `project`'s and `encode`'s results."""


class Layers(LinearEnds):
    """DiffRec's layers: dims [200, 600] mean n -> 600 -> 200 -> 600 -> n, tanh between them, none at the end.

    The input layer is the sum of its parts' products, which equals a layer on the concatenation
    [x, time embedding, condition]; `encode` gives the condition's part (B, dims[-1]).
    """

    def __init__(
        self, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool, condition_dim: int = 0
    ) -> None:
        widths = (*dims[::-1], *dims[1:])
        fan_in = n_items + TIME_DIM + condition_dim
        super().__init__(n_items, widths[0], widths[-1], dropout, normalize, fan_in)
        self.time = linear_layer(TIME_DIM, TIME_DIM)
        self.time_in = linear_layer(TIME_DIM, widths[0], fan_in)
        self.middle = nn.ModuleList(linear_layer(a, b) for a, b in pairwise(widths))

    def hidden(self, projected: Tensor, t: Tensor, encoded: Any) -> Tensor:
        first = self.timed(projected, t)
        return self.after(first if encoded is None else first + encoded)

    def timed(self, projected: Tensor, t: Tensor) -> Tensor:
        """The first layer before its tanh, but for the condition's part: (B, dims[-1])."""
        time: Tensor = self.time_in(self.time(time_embedding(t).to(projected.dtype)))
        return projected + time

    def after(self, first: Tensor) -> Tensor:
        """The remaining layers but the last one."""
        h = tanh(first)
        for layer in self.middle:
            h = tanh(layer(h))
        return h


class LearnedNull(LinearEnds):
    """A network around which the null condition is a learned vector beside the first layer, not nothing."""

    def __init__(self, inner: LinearEnds) -> None:
        nn.Module.__init__(self)
        self.inner, self.normalize = inner, inner.normalize
        self.null = nn.Parameter(torch.randn(inner.w_in.shape[1]) * 0.01)

    def project(self, x_t: Tensor) -> Tensor:
        return self.inner.project(x_t)

    def ends(self) -> LinearNetwork:
        return self.inner.ends()

    def encode(self, condition: Tensor | None) -> Any:
        if condition is None:
            return None
        return self.inner.encode(condition), (row_squares(condition) == 0).unsqueeze(-1)

    def hidden(self, projected: Tensor, t: Tensor, encoded: Any) -> Tensor:
        inner, empty = (None, projected.new_ones(1)) if encoded is None else encoded
        h: Tensor = self.inner.hidden(projected + empty * self.null, t, inner)
        return h


class SelfConditioned(Denoiser):
    """A network that also sees an estimate of x_0, its own (Chen et al. 2022, "Analog Bits", section 3.2).

    In a chain that is the last step's. In training a first pass without gradient makes it, and half of the rows see
    none (zero), as a chain's first step does. It joins the first layer, so that every network with linear ends can be
    wrapped.
    """

    def __init__(self, inner: LinearEnds) -> None:
        super().__init__()
        self.inner, self.GUIDED = inner, inner.GUIDED
        n_items, width = inner.ends().w_in.shape
        self.w_estimate = matrix(n_items, width, 2 * n_items)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None, estimate: Tensor | None = None) -> Tensor:
        projected = self.inner.project(x_t)
        if estimate is not None:
            projected = projected + (normalized(estimate) if self.inner.normalize else estimate) @ self.w_estimate
        ends = self.inner.ends()
        return linear(self.inner.hidden(projected, t, self.inner.encode(condition)), ends.w_out, ends.b_out)

    def training_output(
        self, x_t: Tensor, t: Tensor, condition: Tensor | None, to_x0: Callable[[Tensor], Tensor]
    ) -> Tensor:
        with torch.no_grad():
            estimate = to_x0(self(x_t, t, condition))
        # by row, not by batch: with workers whose draws differ every parameter has a gradient on each of them
        seen = torch.rand(len(estimate), 1, device=estimate.device) < SELF_CONDITIONED_SHARE
        output: Tensor = self(x_t, t, condition, estimate * seen)
        return output

    def knowing(self, estimate: Tensor | None) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        return partial(self, estimate=estimate)


def time_embedding(t: Tensor, dim: int = TIME_DIM) -> Tensor:
    """[cos, sin] of t (B,) at geometric frequencies: (B, dim) (Vaswani et al. 2017, as in DiffRec)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(MAX_PERIOD) * torch.arange(half, device=t.device) / half)
    angles = t.float().unsqueeze(-1) * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
