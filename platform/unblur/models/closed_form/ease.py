"""EASE: a linear item-item model with zero diagonal, in closed form (Steck 2019, eq. 8)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import History
from unblur.models.closed_form._linear import Floats, ItemItem, gram, inverse, precision
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
