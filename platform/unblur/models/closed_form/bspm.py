"""BSPM: a history is blurred on the item graph and sharpened again, by heat equations (Choi et al. 2023)."""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unblur.data.dataset import History
from unblur.models.closed_form import gf_cf


class Config(gf_cf.Config):
    sharpening: float = Field(0.3, ge=0)
    """Time for which the reverse heat equation runs, T_s in the paper; 0 is GF-CF."""
    steps: int = Field(1, ge=1)
    """Euler's steps for that time."""


class Model(gf_cf.Model):
    """GF-CF's two filters, from whose sum sharpening starts ("early merge"): x <- x - dt x P, P = R^T R."""

    config_class = Config
    config: Config

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        x = super().score(history, users).numpy()
        dt = np.float32(self.config.sharpening / self.config.steps)
        for _ in range(self.config.steps if dt else 0):
            x = x - dt * (self.normalized.T @ (self.normalized @ x.T)).T
        return torch.from_numpy(x)
