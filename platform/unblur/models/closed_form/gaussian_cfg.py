"""GaussianCFG: classifier-free guided diffusion whose denoisers are the best linear ones, in closed form.

x_0 is the later part of a history and c the earlier one, as in SLIST, which is the mean at guidance scale 1 from pure
noise. Nothing is trained; docs/gaussian_cfg.md derives it.
"""

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form import slist
from unblur.models.closed_form._directed import directed_footprint, directed_operations
from unblur.models.closed_form._guided_gaussian import (
    EIGEN_PRODUCTS,
    GuidedConfig,
    GuidedGaussian,
    spectrum,
    to_tensor,
)


class Config(GuidedConfig, slist.Config):
    """SLIST's, and the chain's."""


class OneStep(NamedTuple):
    """The denoisers' answers to a user's own history at one noise variance: history @ matrix (n_items, n_items)."""

    variance: float
    conditional: Tensor
    unconditional: Tensor
    constant: Tensor
    """(n_items,): added without a condition."""


class Model(GuidedGaussian[Config]):
    """The prediction is a history times a matrix, so that the whole chain is linear in what it is given."""

    config_class = Config
    UNGUIDED = "slist"

    directed: Tensor  # (n_items, n_items): B, the mean of x_0 given c
    one_step: OneStep | None = None  # the newest that scores were asked from

    def fit(self, dataset: Dataset) -> None:
        history = dataset.history()
        sums = self.config.sums(history, with_tt=True)
        assert sums.tt is not None
        self.directed = to_tensor(slist.regression(self.config, history, sums))
        ss, st, tt, self.mean = (to_tensor(part / sums.cuts) for part in (sums.ss, sums.st, sums.tt, sums.t))
        explained = st.T @ self.directed
        self.left = spectrum(tt - explained - explained.T + self.directed.T @ (ss @ self.directed))
        self.whole = spectrum(tt - torch.outer(self.mean, self.mean))
        self.one_step = None

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """The mean of the chain's draws. One step is one matrix for each denoiser, which a sweep over scales shares."""
        if self.config.steps > 1:
            return super().score(history, users)
        if self.one_step is None or self.one_step.variance != self.config.start:
            self.one_step = self._one_step(self.config.start)
        _, conditional, unconditional, constant = self.one_step
        scale = self.config.guidance_scale
        guided = torch.lerp(unconditional, conditional, scale)
        return torch.from_numpy(self.config.weigh(history) @ guided.numpy()) + (1 - scale) * constant

    def _one_step(self, v: float) -> OneStep:
        """D and U of a history h at x_t = alpha h, c = h: both are affine in h."""
        alpha = sqrt(1 - v)
        if alpha == 0:
            return OneStep(v, self.directed, torch.zeros_like(self.directed), self.mean)
        untold = alpha * (torch.eye(self.n_items) - self.directed)
        conditional = self.directed + self.left.apply(untold, self.left.gain(v))
        gain = self.whole.gain(v)
        unconditional = (self.whole.vectors * (alpha * gain)) @ self.whole.vectors.T
        constant = self.mean - alpha * self.whole.apply(self.mean, gain)
        return OneStep(v, conditional, unconditional, constant)

    def predicted(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """c B."""
        return torch.from_numpy(self.config.weigh(history) @ self.directed.numpy())

    def footprint(self, dataset: Dataset) -> int:
        """SLIST's, the other moments and an eigendecomposition's work space, which one step's matrices reuse."""
        return directed_footprint(dataset, 9)

    def operations(self, dataset: Dataset) -> Operations:
        """SLIST's, three products and two eigendecompositions."""
        return directed_operations(dataset, self.config.cuts, 3 + 2 * EIGEN_PRODUCTS)

    def tensors(self) -> dict[str, Tensor]:
        return {"directed": self.directed, **super().tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        super().restore(tensors)
        self.directed = tensors["directed"]
