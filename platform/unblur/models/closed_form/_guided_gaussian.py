"""Guided diffusion of what is Gaussian around a prediction: denoisers, reverse chain, its mean and draws.

docs/gaussian_cfg.md derives it and numbers the equations.
"""

from abc import abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from math import sqrt
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import eigh
from torch import Tensor

from unblur.data.dataset import History
from unblur.models.closed_form._linear import Floats, Stored
from unblur.models.recency import GeometricConfig
from unblur.parts import ORDER

LEAST_NOISE = 1e-3
"""Noise variance of a chain's last step: about the median eigenvalue of what is diffused."""
EIGEN_PRODUCTS = 3
"""n^3 multiply-adds in double precision that take as long as a symmetric eigendecomposition in single."""


class GuidedConfig(GeometricConfig):
    """What a chain is run with; changed without another fit."""

    NEEDS = frozenset({ORDER})
    INFERENCE = frozenset({"guidance_scale", "start", "steps"})

    guidance_scale: float = Field(1.0, ge=0)
    """uncond + scale (cond - uncond) (Ho & Salimans 2022): 0 is popularity among later items, 1 no guidance."""
    start: float = Field(1.0, gt=0, le=1)
    """Noise variance at which the chain starts from the history; 1 is pure noise, nothing of the history."""
    steps: int = Field(1, ge=1)
    """Reverse steps, at variances from `start` to 0.001, evenly spread on a log scale."""

    def variances(self) -> list[float]:
        """Noise variances of the reverse steps, falling."""
        return [float(v) for v in np.geomspace(self.start, min(self.start, LEAST_NOISE), self.steps)]


class Spectrum(NamedTuple):
    """A symmetric positive semidefinite matrix as eigenvalues (n,) and eigenvectors (n, n), one a column."""

    values: Tensor
    vectors: Tensor

    def apply(self, x: Tensor, function: Tensor) -> Tensor:
        """x (B, n) times the matrix that has `function` (n,) for eigenvalues."""
        return (x @ self.vectors * function) @ self.vectors.T

    def gain(self, v: float) -> Tensor:
        """Eigenvalues (n,) of alpha C (alpha^2 C + v I)^-1, C being this matrix: what passes at noise variance v."""
        return sqrt(1 - v) * self.values / ((1 - v) * self.values + v)


G = TypeVar("G", bound=GuidedConfig)


class GuidedGaussian(Stored[G]):
    """x_0 is Gaussian: around a prediction with the condition, around its mean without."""

    DIFFUSION = True

    mean: Tensor  # (n_items,): that of x_0
    left: Spectrum  # R: second moment of what the prediction leaves of x_0
    whole: Spectrum  # covariance of x_0

    @abstractmethod
    def predicted(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """f(c) (B, n_items): the mean of x_0 given these histories."""

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """The mean of the chain's draws: every step is affine in x_t, so noise of mean 0 leaves it alone."""
        return self._chain(history, users, None)

    @torch.inference_mode()
    def draw(self, history: History, users: NDArray[np.int64], seed: int) -> Tensor:
        """One draw of x_0 (B, n_items) for each history; the best of each is a slate, different for every seed.

        At guidance scale 1 from pure noise it is one from the Gaussian of mean f(c) and covariance R, for any steps.
        """
        return self._chain(history, users, torch.Generator().manual_seed(seed))

    def _chain(self, history: History, users: NDArray[np.int64], noise: torch.Generator | None) -> Tensor:
        predicted, variances = self.predicted(history, users), self.config.variances()
        x = sqrt(1 - variances[0]) * torch.from_numpy(self.config.weigh(history).toarray())
        if noise is not None:
            x += sqrt(variances[0]) * torch.randn(x.shape, generator=noise)
        for v, following in pairwise([*variances, 0.0]):
            estimate = self.estimate(predicted, x, v)
            if noise is not None:
                estimate = estimate + self._uncertainty(estimate.shape, v, noise)
            x = _less_noisy(x, estimate, v, following, noise)
        return x

    def estimate(self, predicted: Tensor, x: Tensor, variance: float) -> Tensor:
        """Guided estimate of x_0 (B, n_items), eq. 6, from f(c) and x_t (both (B, n_items)) at a noise variance."""
        scale = self.config.guidance_scale
        with_condition = _denoised(self.left, predicted, x, variance) if scale != 0 else predicted
        if scale == 1:
            return with_condition
        without = _denoised(self.whole, self.mean.expand_as(x), x, variance)
        return without + scale * (with_condition - without)

    def _uncertainty(self, shape: torch.Size, v: float, noise: torch.Generator) -> Tensor:
        """Noise (B, n_items) of the covariance that x_0 has given x_t and c: v R ((1-v) R + v I)^-1."""
        values, vectors = self.left
        deviation = (v * values / ((1 - v) * values + v)).sqrt()
        drawn: Tensor = torch.randn(shape, generator=noise) * deviation @ vectors.T
        return drawn

    def tensors(self) -> dict[str, Tensor]:
        spectra = {"left": self.left, "whole": self.whole}
        parts = {f"{name}.{part}": getattr(spectra[name], part) for name in spectra for part in Spectrum._fields}
        return {"mean": self.mean, **parts}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.mean = tensors["mean"]
        self.left, self.whole = (
            Spectrum(*(tensors[f"{name}.{part}"] for part in Spectrum._fields)) for name in ("left", "whole")
        )


def spectrum(symmetric: Tensor) -> Spectrum:
    """The eigendecomposition of a symmetric positive semidefinite matrix, which is overwritten."""
    values, vectors = eigh(symmetric.numpy(), driver="evd", overwrite_a=True, check_finite=False)
    return Spectrum(to_tensor(values).clamp(min=0), to_tensor(vectors))  # rounding can leave small negative ones


def _denoised(prior: Spectrum, mean: Tensor, x: Tensor, v: float) -> Tensor:
    """E[x_0 | x_t] (B, n_items) for a Gaussian x_0: mean + alpha C (alpha^2 C + v I)^-1 (x - alpha mean).

    `prior` is its covariance C. Where nothing is known of x_0 from x_t (v = 1, so alpha = 0) it is the mean.
    """
    alpha = sqrt(1 - v)
    if alpha == 0:
        return mean
    return mean + prior.apply(x - alpha * mean, prior.gain(v))


def _less_noisy(x: Tensor, x_0: Tensor, v: float, following: float, noise: torch.Generator | None) -> Tensor:
    """The mean of q(x_s | x_t, x_0) (DDPM's posterior, eq. 7, between any two variances v > following), or a draw."""
    if following == 0:
        return x_0
    ratio = sqrt((1 - v) / (1 - following))  # alpha_t / alpha_s
    added = v - ratio**2 * following  # variance of the noise between the two
    mean = ratio * following / v * x + sqrt(1 - following) * added / v * x_0
    if noise is None:
        return mean
    return mean + sqrt(added * following / v) * torch.randn(x.shape, generator=noise)


def to_tensor(array: Floats) -> Tensor:
    """The same numbers in single precision, by rows."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
