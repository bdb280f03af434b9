"""ItemKNN: cosine similarity with shrinkage, the nearest items only (Sarwar et al. 2001; Dacrema et al. 2019)."""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._linear import BLOCK, ItemItem, nearest, pairs
from unblur.models.recency import RecencyConfig


class Config(RecencyConfig):
    neighbours: int = Field(100, ge=1)
    """Similar items kept for each item."""
    shrinkage: float = Field(10.0, ge=0)
    """Added to the denominator: damps similarities of rare items."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, history: History) -> csr_matrix:
        """s_ij = <x_i, x_j> / (|x_i| |x_j| + shrinkage), of each item's `neighbours` largest."""
        x = self.config.weigh(history)
        columns = x.tocsc()
        norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel())

        def similar(block: slice) -> csr_matrix:
            dot: csr_matrix = (columns[:, block].T @ x).tocsr()
            rows = np.repeat(norms[block], np.diff(dot.indptr))
            dot.data /= rows * norms[dot.indices] + self.config.shrinkage
            return dot

        return nearest(similar, x.shape[1], self.config.neighbours)

    def footprint(self, dataset: Dataset) -> int:
        return neighbours_footprint(dataset, self.config.neighbours)

    def operations(self, dataset: Dataset) -> Operations:
        return neighbours_operations(dataset)


def neighbours_operations(dataset: Dataset) -> Operations:
    """A sparse product, and the selection of the nearest among all pairs of items."""
    return Operations(elements=pairs(dataset) / 2 + 2.0 * dataset.n_items**2)


def neighbours_footprint(dataset: Dataset, neighbours: int) -> int:
    """Bytes of `nearest`: a block sparse, dense and as the partition's order, and the result."""
    return 28 * BLOCK * dataset.n_items + 24 * neighbours * dataset.n_items + 32 * int(dataset.train.nnz)
