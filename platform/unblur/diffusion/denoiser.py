"""The contract of a denoiser: x_0, eps or v from x_t, t and a condition. One with linear ends has a cheap chain."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from unblur.diffusion.condition import Condition, ItemReader
from unblur.diffusion.sampling import LinearNetwork
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.onednn import linear
from unblur.nn.sparse import dropped, is_sparse, normalized, project
from unblur.parts import PartConfig


class DenoiserConfig(PartConfig):
    """Parameters of every denoiser of layers."""

    dims: tuple[int, ...] = Field((1000,), min_length=1)
    """Hidden sizes from the middle outwards: [200, 600] means n -> 600 -> 200 -> 600 -> n."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the noised input."""
    normalize: bool = False
    """Scale the network's input rows to length 1."""

    def smaller(self, share: float) -> Self:
        """The same with layers of a share of their sizes."""
        return self.model_copy(update={"dims": tuple(max(1, round(share * dim)) for dim in self.dims)})


@dataclass(frozen=True)
class Conditioning:
    """What a denoiser can know of a user, beside x_t: an encoder's vector, and the items themselves."""

    n_items: int
    """Width of a history."""
    size: int = 0
    """Length of the encoder's vector; 0: there is no encoder."""
    make: Callable[[], Any] = nn.Identity
    """A new encoder, whose `read` gives (B, size) of a condition. The denoiser owns it, and makes it where its own
    layers begin to take it in, so that a seed draws the same weights whichever encoder is chosen."""


def encoded(encoder: Any, condition: Condition, weight: Callable[[], Tensor]) -> Tensor | None:
    """The encoder's vectors times the weight (size, h), which there is only beside one; None without."""
    if encoder is None:
        return None
    vectors: Tensor = encoder.read(condition)
    return project(vectors, weight()) if is_sparse(vectors) else vectors @ weight()


class Denoiser(nn.Module, ItemReader, ABC):
    """A part of `unblur.denoisers`: a file with this class, named `Network(n, config, conditioning)`, and its `Config`.

    n: the length of x_t.
    """

    ATTENDS: ClassVar[bool] = False
    """Whether it reads the history's items itself, beside the encoder's vector."""
    OF_ITEMS: ClassVar[bool] = False
    """Whether x_t must be a vector like the embeddings of the items that it reads."""

    def encode(self, condition: Condition) -> Any:
        """c, what the network makes of B histories, computed once for all steps; None where it is told nothing."""
        return None

    @abstractmethod
    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        """(B, n) from x_t (B, n), t (B,) int64 from 0 and what `encode` gave.

        Empty histories are the null condition, and None is the same without a learned null.
        """


class Affine(Denoiser):
    """x_t W + c + o_t, c being what `encode` gives, (B, n) or None: its reverse chain is one map (`affine_chain`)."""

    @property
    @abstractmethod
    def weight(self) -> Tensor:
        """W (n, n)."""

    @abstractmethod
    def offset(self, t: Tensor) -> Tensor:
        """o_t (len(t), n)."""

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        output = project(x_t, self.weight) + self.offset(t)
        return output if c is None else output + c


class LinearEnds(Denoiser):
    """x -> w_in -> anything of (t, c) -> out. Its reverse chain runs in hidden space (`sampling`).

    w_in (n, width), out from `out_width` to n; dropout acts on the (normalised) input. `fan_in` counts all inputs of
    the first layer.
    """

    def __init__(self, n: int, width: int, out_width: int, config: DenoiserConfig, fan_in: int | None = None) -> None:
        super().__init__()
        self.dropout, self.normalize = config.dropout, config.normalize
        self.w_in = matrix(n, width, fan_in)
        self.out = linear_layer(out_width, n)

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        ends = self.ends()
        return linear(self.hidden(self.project(x_t), t, c), ends.w_out, ends.b_out)

    def project(self, x_t: Tensor) -> Tensor:
        """The first layer's share of x_t: (B, width)."""
        x_t = normalized(x_t) if self.normalize else x_t
        return project(dropped(x_t, self.dropout) if self.training else x_t, self.w_in)

    def ends(self) -> LinearNetwork:
        """What the hidden-space chain needs of the network."""
        return LinearNetwork(self.w_in, self.out.weight, self.out.bias, self.normalize)

    @abstractmethod
    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        """The vector (B, out_width) before the last layer, from `project`'s result, t and the condition."""


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

    def encode(self, condition: Condition) -> Any:
        return self.inner.encode(condition), condition.empty.unsqueeze(-1)

    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        inner, empty = (None, projected.new_ones(1)) if c is None else c
        h: Tensor = self.inner.hidden(projected + empty * self.null, t, inner)
        return h
