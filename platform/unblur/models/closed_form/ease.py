"""EASE: a linear item-item model with zero diagonal, in closed form (Steck 2019, eq. 8)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset
from unblur.models.base import Operations
from unblur.models.closed_form._linear import ItemItem, gram, inverse, pairs
from unblur.models.recency import RecencyConfig

EXACT_ITEMS = 10_000  # up to here in double precision; beyond, memory matters more than the last digits


class Config(RecencyConfig):
    l2: float = Field(500.0, gt=0)
    """Ridge penalty, lambda in the paper."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, x: csr_matrix) -> NDArray[np.float32]:
        """B_ij = -P_ij / P_jj, zero on the diagonal, with P = (x^T x + l2 I)^-1."""
        g = gram(x, self._dtype())
        g[np.diag_indices_from(g)] += self.config.l2
        p = inverse(g)
        p /= -np.diag(p).copy()
        np.fill_diagonal(p, 0)
        return p.astype(np.float32, order="C", copy=False)

    def footprint(self, dataset: Dataset) -> int:
        """The Gram matrix, inverted in place, and the row-major float32 copy of the result."""
        return dataset.n_items**2 * (np.dtype(self._dtype()).itemsize + 4) + 32 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        """Cholesky and the inverse take n^3 / 2 multiply-adds, in double precision twice as long each."""
        slower = np.dtype(self._dtype()).itemsize // 4
        return Operations(slower * dataset.n_items**3 / 2, pairs(dataset) + 4.0 * dataset.n_items**2)

    def _dtype(self) -> type[np.floating]:
        return np.float64 if self.n_items <= EXACT_ITEMS else np.float32
