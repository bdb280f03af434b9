"""DiffRec's layers, which several networks share."""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig, LinearEnds, encoded
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.onednn import tanh
from unblur.nn.time_embedding import TIME_DIM, time_embedding


class Layers(LinearEnds):
    """dims [200, 600] mean n -> 600 -> 200 -> 600 -> n, tanh between them, none at the end.

    The input layer is the sum of its parts' products, which equals a layer on the concatenation
    [x_t, time embedding, encoder's vector]; `beside` counts inputs that a subclass adds to it.
    """

    def __init__(self, n: int, config: DenoiserConfig, conditioning: Conditioning, beside: int = 0) -> None:
        widths = (*config.dims[::-1], *config.dims[1:])
        fan_in = n + TIME_DIM + conditioning.size + beside
        super().__init__(n, widths[0], widths[-1], config, fan_in)
        self.time = linear_layer(TIME_DIM, TIME_DIM)
        self.time_in = linear_layer(TIME_DIM, widths[0], fan_in)
        self.middle = nn.ModuleList(linear_layer(a, b) for a, b in pairwise(widths))
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, widths[0], n + conditioning.size)

    def encode(self, condition: Condition) -> Any:
        """The condition's share of the first layer: (B, dims[-1]); None without an encoder."""
        return self.encoded(condition)

    def encoded(self, condition: Condition) -> Tensor | None:
        return encoded(self.encoder, condition, lambda: self.w_condition)

    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        first = self.timed(projected, t)
        return self.after(first if c is None else first + c)

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
