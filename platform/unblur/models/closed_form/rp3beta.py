"""RP3beta: random walks of three steps, popular items damped (Christoffel et al. 2015; Paudel et al. 2016)."""

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._linear import ItemItem, nearest
from unblur.models.closed_form.item_knn import neighbours_footprint, neighbours_operations
from unblur.models.recency import RecencyConfig

TINY = 1e-12  # an item or user without interactions


class Config(RecencyConfig):
    neighbours: int = Field(100, ge=1)
    """Items from which each item can be reached."""
    alpha: float = Field(1.0, ge=0)
    """Power of the transition probabilities."""
    beta: float = Field(0.6, ge=0)
    """Power of the popularity that divides: 0 not at all."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, history: History) -> csr_matrix:
        """w_ij = sum over users of p(user | i)^alpha p(j | user)^alpha, over popularity(j)^beta."""
        x = self.config.weigh(history)
        to_item = transitions(x, self.config.alpha).tocsc()  # (n_users, n_items)
        from_item = transitions(x.T.tocsr(), self.config.alpha).T.tocsr()  # (n_users, n_items)
        damping = np.maximum(np.asarray(x.sum(axis=0)).ravel(), TINY) ** -self.config.beta

        def similar(block: slice) -> csr_matrix:
            walks: csr_matrix = (to_item[:, block].T @ from_item).tocsr()
            walks.data *= np.repeat(damping[block], np.diff(walks.indptr))
            return walks

        return nearest(similar, x.shape[1], self.config.neighbours)

    def footprint(self, dataset: Dataset) -> int:
        return neighbours_footprint(dataset, self.config.neighbours) + 48 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        return neighbours_operations(dataset)


def transitions(x: csr_matrix, alpha: float) -> csr_matrix:
    """Each row of `x` over its sum, to the power `alpha`; empty rows stay empty."""
    sums = np.maximum(np.asarray(x.sum(axis=1)).ravel(), TINY)
    data = (x.data / np.repeat(sums, np.diff(x.indptr))) ** alpha
    return csr_matrix((data, x.indices, x.indptr), shape=x.shape)
