"""FiLM (Perez et al. 2018): the encoder's vector scales and shifts the first layer instead of joining it."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from unblur.denoisers._layers import Layers
from unblur.diffusion.denoiser import Conditioning, DenoiserConfig


class Config(DenoiserConfig):
    """Those of the layers, and how far the scale may move."""

    film_reach: float = Field(1.0, gt=0)
    """The first layer is multiplied by 1 - reach to 1 + reach."""


class Network(Layers):
    """An MLP whose first layer is modulated by the condition."""

    def __init__(self, n: int, config: Config, conditioning: Conditioning) -> None:
        super().__init__(n, config, conditioning)
        self.reach = config.film_reach

    def hidden(self, projected: Tensor, t: Tensor, c: Any) -> Tensor:
        first = self.timed(projected, t)
        return self.after(first if c is None else first * (1 + self.reach * torch.tanh(c)) + c)
