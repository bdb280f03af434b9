"""ResidualCFG: guided diffusion, in closed form, of what another model's prediction leaves of the later part.

The prediction stands where GaussianCFG has SLIST's (docs/gaussian_cfg.md, eq. 2); a regression whose residual is
diffused is CorrDiff's idea (Mardani et al. 2023, arXiv 2309.15214), whose denoisers are networks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.artefacts import Artefact
from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form import blend
from unblur.models.closed_form._guided_gaussian import (
    EIGEN_PRODUCTS,
    GuidedConfig,
    GuidedGaussian,
    spectrum,
    to_tensor,
)
from unblur.models.closed_form._linear import BLOCK, Floats, precision, under
from unblur.pairings import earlier_later


class Config(GuidedConfig, blend.Config):
    """A blend's, whose weights are chosen beforehand here, and the chain's."""

    INFERENCE = GuidedConfig.INFERENCE

    parts: tuple[blend.Part, ...] = Field((blend.Part(model="slist"),), min_length=1, max_length=5)
    """The models that predict, each with its parameters."""
    weights: tuple[float, ...] = (1.0,)
    """How much each part's standardised scores count."""
    gamma_future: float = Field(0.8, ge=0, le=1)
    """In x_0 an item weighs gamma_future^k, where k items lie between it and the cut."""
    cuts: int = Field(5, ge=1)
    """How often each history is cut at random into a condition and its x_0."""


class Model(GuidedGaussian[Config]):
    """f(c) = slope y(c) + level, y the blend's scores: only two numbers, so that f ranks as the blend does."""

    config_class = Config
    RANDOM = True  # the cuts are, and a part may be
    UNGUIDED = "blend"

    slope: Tensor  # ()
    level: Tensor  # ()

    def __init__(self, config: Config, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        self.blend = blend.Model(config, n_users, n_items, seed)

    @classmethod
    def artefacts(cls, config: Config) -> Sequence[Artefact]:
        return blend.Model.artefacts(config)

    def fit(self, dataset: Dataset) -> None:
        self.blend.fit(dataset)
        moments = Moments.none(self.n_items)
        for x_0, scores in self._pairs(dataset.history()):
            moments.add(x_0, scores)
        slope, level = moments.line()
        self.slope, self.level = torch.tensor(slope), torch.tensor(level)
        self.left = spectrum(to_tensor(moments.residual(slope, level)))
        mean = moments.x / moments.pairs
        self.mean = to_tensor(mean)
        self.whole = spectrum(to_tensor(moments.xx / moments.pairs - np.outer(mean, mean)))

    @torch.inference_mode()
    def _pairs(self, history: History) -> Iterator[tuple[csr_matrix, NDArray[np.float32]]]:
        """x_0 and the blend's scores of what came before, (b, n_items) each."""
        cut = earlier_later.Pairing(earlier_later.Config(gamma_future=self.config.gamma_future))
        rng = np.random.default_rng(self.seed)
        for _ in range(self.config.cuts):
            pairs = cut.divide(history, rng)
            assert pairs.weights is not None and isinstance(pairs.given, History)
            for start in range(0, len(pairs.examples), BLOCK):
                users = pairs.examples[start : start + BLOCK]
                yield pairs.weights[users], self.blend.score(pairs.given.rows(users), users).numpy()

    def predicted(self, history: History, users: NDArray[np.int64]) -> Tensor:
        return self.slope * self.blend.score(history, users) + self.level

    def footprint(self, dataset: Dataset) -> int:
        """The parts', the moments and an eigendecomposition's work space."""
        own = 8 * np.dtype(precision(dataset.n_items)).itemsize * dataset.n_items**2
        return self.blend.footprint(dataset) + own + 12 * BLOCK * dataset.n_items

    def operations(self, dataset: Dataset) -> Operations:
        """The parts', a product of dense scores for every cut, and two eigendecompositions."""
        parts, squared = self.blend.operations(dataset), float(dataset.n_items) ** 2
        rows = float(self.config.cuts * dataset.n_users)
        own = rows * squared + 2 * EIGEN_PRODUCTS * squared * dataset.n_items
        return Operations(parts.products + own, parts.elements + rows * dataset.n_items)

    def tensors(self) -> dict[str, Tensor]:
        parts = {f"blend.{name}": tensor for name, tensor in self.blend.tensors().items()}
        return {"slope": self.slope, "level": self.level, **super().tensors(), **parts}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        super().restore(tensors)
        self.slope, self.level = tensors["slope"], tensors["level"]
        self.blend.restore(under("blend.", tensors))


@dataclass
class Moments:
    """Sums over pairs of x, an x_0 (n_items,), and y, the scores of its condition (n_items,)."""

    x: Floats
    y: Floats
    xx: Floats
    """x^T x (n_items, n_items)."""
    xy: Floats
    yy: Floats
    pairs: int = 0

    @classmethod
    def none(cls, n_items: int) -> "Moments":
        dtype = precision(n_items)
        return cls(*np.zeros((2, n_items), dtype), *(np.zeros((n_items, n_items), dtype) for _ in range(3)))

    def add(self, x: csr_matrix, y: NDArray[np.float32]) -> None:
        """Count the pairs whose rows these are."""
        self.x += np.asarray(x.sum(axis=0))[0]
        self.y += y.sum(axis=0)
        self.xx += (x.T @ x).toarray()
        self.xy += x.T @ y
        self.yy += y.T @ y
        self.pairs += len(y)

    def line(self) -> tuple[float, float]:
        """Slope and level of the least squares line through all entries; y is centred over the items of each pair."""
        spread = float(np.trace(self.yy))
        slope = float(np.trace(self.xy)) / spread if spread else 0.0
        return slope, float(self.x.sum()) / (self.pairs * len(self.x))

    def residual(self, slope: float, level: float) -> Floats:
        """The second moment (n_items, n_items) of x - slope y - level."""
        left = (self.x - slope * self.y) / self.pairs
        both = self.xy + self.xy.T
        second: Floats = (self.xx - slope * both + slope**2 * self.yy) / self.pairs
        return second - level * (left[:, None] + left) + level**2
