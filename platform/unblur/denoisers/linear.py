"""One linear layer on [x_t, condition, time] (DreamRec's `mlp1`, Yang et al. 2023; also PreferDiff's and TDM's)."""

from pydantic import Field
from torch import Tensor, nn

from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Affine, Conditioning, encoded
from unblur.nn.layers import linear_layer, matrix
from unblur.nn.time_embedding import time_embedding
from unblur.parts import PartConfig


class Config(PartConfig):
    """Nothing but t goes through more than one layer."""

    time_dim: int = Field(64, ge=2, multiple_of=2)
    """Width of the time embedding."""


class Network(Affine):
    """x_t W_x + h W_h + time(t) W_t + b: h the encoder's vector, time(t) a small network of the embedding of t."""

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__()
        self.time_dim = config.time_dim
        inputs = n + conditioning.size + config.time_dim
        self.w_x = matrix(n, n, inputs)
        widened = linear_layer(config.time_dim, 2 * config.time_dim)
        self.time = nn.Sequential(widened, nn.GELU(), linear_layer(2 * config.time_dim, config.time_dim))
        self.time_in = linear_layer(config.time_dim, n, inputs)
        self.encoder = conditioning.make() if conditioning.size else None
        if self.encoder is not None:
            self.w_condition = matrix(conditioning.size, n, inputs)

    def encode(self, condition: Condition) -> Tensor | None:
        """The condition's share of x_0_hat (B, n)."""
        return encoded(self.encoder, condition, lambda: self.w_condition)

    @property
    def weight(self) -> Tensor:
        return self.w_x

    def offset(self, t: Tensor) -> Tensor:
        out: Tensor = self.time_in(self.time(time_embedding(t, self.time_dim).to(self.w_x.dtype)))
        return out
