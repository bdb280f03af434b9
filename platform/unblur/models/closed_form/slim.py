"""SLIM: a sparse non-negative item-item model (Ning & Karypis 2011), solved for all items at once by ADMM.

The solver is Steck, Dimakopoulou, Riabov & Jebara 2020, "ADMM SLIM", algorithm 1: one inverse, then a matrix product
for each iteration, in place of one elastic net for each item.
"""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._linear import ItemItem, gram, inverse, pairs, without_diagonal
from unblur.models.recency import RecencyConfig


class Config(RecencyConfig):
    l1: float = Field(5.0, ge=0)
    """Lasso penalty: larger is sparser."""
    l2: float = Field(500.0, gt=0)
    """Ridge penalty."""
    iterations: int = Field(40, ge=1)
    """ADMM's iterations."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, history: History) -> csr_matrix:
        """argmin |x - x B|^2 / 2 + l2 |B|^2 / 2 + l1 |B|_1 with B >= 0 and zero diagonal."""
        x = self.config.weigh(history)
        g = gram(x)
        l1, l2 = np.float32(self.config.l1), np.float32(self.config.l2)
        rho = np.diag(g).mean() + l2  # ADMM's penalty decides the speed, not the solution: the scale of the problem
        a = g.copy()
        a[np.diag_indices_from(a)] += l2 + rho
        p = np.ascontiguousarray(inverse(a))
        ridge = p @ g
        del g
        sparse, dual = np.zeros_like(p), np.zeros_like(p)  # C and Gamma / rho in the paper
        for _ in range(self.config.iterations):
            b = without_diagonal(ridge + p @ (rho * (sparse - dual)), p)
            sparse = np.maximum(b + dual - l1 / rho, 0)
            dual += b - sparse
        np.fill_diagonal(sparse, 0)
        return csr_matrix(sparse)

    def footprint(self, dataset: Dataset) -> int:
        """p, ridge, sparse, dual, b and two temporaries, all float32."""
        return 7 * 4 * dataset.n_items**2 + 32 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        """An inverse, and a product of n x n matrices at first and in each iteration."""
        products = (1.5 + self.config.iterations) * dataset.n_items**3
        return Operations(products, pairs(dataset) + self.config.iterations * dataset.n_items**2)
