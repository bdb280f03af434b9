"""Multi-VAE under classifier-free guidance, without any diffusion: what guidance alone is worth.

The encoder's input is the condition. Training drops the whole of it with p_uncond, as Ho & Salimans (2022) do, so that
the pass without it learns what everybody likes.
"""

from functools import partial
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unblur.diffusion.condition import WeightedRows
from unblur.diffusion.guidance import drop_histories, guided, need_unconditional_pass
from unblur.models.autoencoders import multi_vae


class Config(multi_vae.Config):
    """Multi-VAE's parameters and those of guidance; `dropout` is the condition's dropout of single items."""

    INFERENCE = frozenset({"guidance_scale"})

    p_uncond: float = Field(0.2, ge=0, lt=1)
    """Probability that training drops the whole history."""
    guidance_scale: float = Field(1.0, ge=0)
    """unconditional + scale (conditional - unconditional), of the logits: 1 is Multi-VAE, 0 the same for everyone."""

    @model_validator(mode="after")
    def _unconditional_pass_is_trained(self) -> Self:
        need_unconditional_pass(self.p_uncond, self.guidance_scale)
        return self


class Model(multi_vae.Model):
    config_class = Config
    UNGUIDED = "multi_vae"
    config: Config

    def corrupted(self, rows: Tensor) -> Tensor:
        kept = super().corrupted(rows)
        return drop_histories(WeightedRows(kept), self.config.p_uncond).tensor if self.training else kept

    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        conditional = partial(super().predict, rows, users)
        nothing = torch.zeros(1, self.n_items, device=users.device)
        unconditional = partial(super().predict, nothing, users[:1])
        return guided(unconditional, conditional, self.config.guidance_scale).expand(len(users), -1)
