"""Turbo-CF: a polynomial low-pass filter on the item graph, without training or decomposition (Park et al. 2024)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix, diags_array

from unblur.data.dataset import Dataset, History
from unblur.models.base import RANKING_BYTES, Operations
from unblur.models.closed_form._linear import ItemItem, gram, pairs
from unblur.models.recency import RecencyConfig

TINY = 1e-12  # a user or item without interactions


class Config(RecencyConfig):
    alpha: float = Field(0.5, ge=0, le=1)
    """Power of a user's number of items that divides; 1 - alpha is that of an item's number of users."""
    power: float = Field(1.0, gt=0)
    """Each similarity is raised to it, s in the paper: above 1 the strong ones count more."""
    order: Literal[1, 2] = 1
    """Of the polynomial in the similarities P: P, or 2 P - P^2."""


class Model(ItemItem[Config]):
    config_class = Config

    def similarity(self, history: History) -> NDArray[np.float32]:
        x = self.config.weigh(history)
        users, items = (np.maximum(np.asarray(x.sum(axis=axis)).ravel(), TINY) for axis in (1, 0))
        scaled = diags_array(users**-self.config.alpha) @ x @ diags_array(items ** (self.config.alpha - 1))
        p: NDArray[np.float32] = gram(csr_matrix(scaled)).astype(np.float32, copy=False)
        np.power(p, self.config.power, out=p)
        return p if self.config.order == 1 else 2 * p - p @ p

    def footprint(self, dataset: Dataset) -> int:
        """The similarities, and beside them the second order's product and difference."""
        matrices = 1 if self.config.order == 1 else 3
        return 4 * matrices * dataset.n_items**2 + 64 * int(dataset.train.nnz) + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """A sparse product, a power of each similarity, and for the second order a dense product."""
        dense = 0.0 if self.config.order == 1 else float(dataset.n_items) ** 3
        return Operations(dense, pairs(dataset) + 10.0 * dataset.n_items**2)
