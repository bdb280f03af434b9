"""EASE: a linear item-item model with zero diagonal, in closed form (Steck 2019, eq. 8)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._linear import Floats, ItemItem, gram, inverse, pairs, precision
from unblur.models.recency import RecencyConfig


class Config(RecencyConfig):
    l2: float = Field(500.0, gt=0)
    """Ridge penalty, lambda in the paper."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, history: History) -> NDArray[np.float32]:
        """B_ij = -P_ij / P_jj, zero on the diagonal, with P = (x^T x + ridge)^-1."""
        x = self.config.weigh(history)
        g = gram(x, precision(self.n_items))
        g[np.diag_indices_from(g)] += self.ridge(np.diag(g))
        p = inverse(g)
        p /= -np.diag(p).copy()
        np.fill_diagonal(p, 0)
        return p.astype(np.float32, order="C", copy=False)

    def ridge(self, counts: Floats) -> Floats | float:
        """The penalty of each item (n_items,), or one for all; `counts` is the diagonal of x^T x."""
        return self.config.l2

    def footprint(self, dataset: Dataset) -> int:
        """The Gram matrix, inverted in place, and the row-major float32 copy of the result."""
        return dataset.n_items**2 * (np.dtype(precision(self.n_items)).itemsize + 4) + 32 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        """Cholesky and the inverse take n^3 / 2 multiply-adds, in double precision twice as long each."""
        slower = np.dtype(precision(self.n_items)).itemsize // 4
        return Operations(slower * dataset.n_items**3 / 2, pairs(dataset) + 4.0 * dataset.n_items**2)
