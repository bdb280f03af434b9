"""GF-CF: a linear and an ideal low-pass filter on the item graph (Shen et al. 2021, eq. 14)."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import svds
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._linear import Stored
from unblur.models.files import pack_csr, unpack_csr
from unblur.models.recency import RecencyConfig


class Config(RecencyConfig):
    factors: int = Field(256, ge=1)
    """Singular vectors of the ideal filter; at most min(users, items) - 1."""
    alpha: float = Field(0.3, ge=0)
    """Weight of the ideal filter beside the linear one."""


class Model(Stored[Config]):
    config_class = Config
    RANDOM = True  # the spectrum is found from random vectors

    normalized: csr_matrix  # (n_users, n_items): D_users^-1/2 x D_items^-1/2
    to_factors: NDArray[np.float32]  # (n_items, factors): D_items^-1/2 V
    from_factors: NDArray[np.float32]  # (factors, n_items): V^T D_items^1/2

    def fit(self, dataset: Dataset) -> None:
        x = self.config.weigh(dataset.history())
        users, items = (np.maximum(np.asarray(x.sum(axis=axis)).ravel(), 1e-12) for axis in (1, 0))
        self.normalized = (diags_array(users**-0.5) @ x @ diags_array(items**-0.5)).tocsr().astype(np.float32)
        factors = min(self.config.factors, min(x.shape) - 1)
        _, _, v = svds(self.normalized, k=factors, rng=np.random.default_rng(self.seed))
        self.to_factors = (v * items**-0.5).T.astype(np.float32, order="C")
        self.from_factors = (v * items**0.5).astype(np.float32, order="C")

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        # h (R^T R) as (h R^T) R, since the item-item matrix of a large catalogue would be dense; in the middle, users
        # that share any item, there are so few zeros that a dense block is faster
        h = self.config.weigh(history)
        linear = (self.normalized.T @ (self.normalized @ h.T).toarray()).T
        return torch.from_numpy(linear + self.config.alpha * ((h @ self.to_factors) @ self.from_factors))

    def footprint(self, dataset: Dataset) -> int:
        """Lanczos vectors of the smaller side (twice the factors and one), the factors three times, the matrices."""
        smaller = min(dataset.n_users, dataset.n_items)
        vectors = 4 * (2 * self.config.factors + 1) * smaller + 3 * 4 * self.config.factors * dataset.n_items
        return vectors + 64 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        """Lanczos: some products with the matrix per factor, each made orthogonal to all before it."""
        vectors = 4.0 * self.config.factors
        smaller = min(dataset.n_users, dataset.n_items)
        return Operations(4 * vectors * self.config.factors * smaller, vectors * int(dataset.train.nnz) / 4)

    def tensors(self) -> dict[str, Tensor]:
        factors = {"to_factors": self.to_factors, "from_factors": self.from_factors}
        return pack_csr("normalized", self.normalized) | {k: torch.from_numpy(v) for k, v in factors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.normalized = unpack_csr("normalized", tensors, (self.n_users, self.n_items))
        self.to_factors, self.from_factors = (tensors[k].numpy() for k in ("to_factors", "from_factors"))
