"""MultiDAE++ (Wang et al. 2023, section 4.1.2): Multi-DAE that undoes DiffRec's noise in a single step."""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unblur.diffusion.process import Process
from unblur.diffusion.schedules import linear_variance
from unblur.models.autoencoders import multi_dae


class Config(multi_dae.Config):
    """Multi-DAE's parameters and those of DiffRec's noise."""

    T: int = Field(5, ge=1)
    """Noise levels; training draws one per user, uniformly."""
    noise_scale: float = Field(0.01, ge=0, le=1)
    """s; 0 means no noise at all."""
    noise_min: float = Field(0.001, gt=0)
    """Lower noise bound."""
    noise_max: float = Field(0.01, lt=1)
    """Upper noise bound."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.noise_min >= self.noise_max:
            raise ValueError(f"noise_min = {self.noise_min:g} must be below noise_max = {self.noise_max:g}")
        return self


class Model(multi_dae.Model):
    """The history is recommended from as it is: like DiffRec's best setting (T' = 0), inference adds no noise."""

    config_class = Config
    config: Config

    def build(self) -> None:
        super().build()
        c = self.config
        betas = linear_variance(c.T, c.noise_scale, c.noise_min, c.noise_max) if c.noise_scale > 0 else None
        self.process = Process(betas, c.T)

    def corrupted(self, rows: Tensor) -> Tensor:
        if not self.training or self.process.noiseless:
            return super().corrupted(rows)
        x_0 = rows.to_dense()
        t = torch.randint(self.config.T, (len(x_0),), device=x_0.device)
        return super().corrupted(self.process.q_sample(x_0, t, torch.randn_like(x_0)))
