"""TALE: a linear item-item model of the next item (Park et al. 2025), with gaps in position for gaps in time."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._directed import (
    DirectedConfig,
    directed_footprint,
    directed_operations,
    directed_sums,
    next_alone,
)
from unblur.models.closed_form._linear import Floats, ItemItem, inverse
from unblur.parts import ORDER


class Config(DirectedConfig):
    NEEDS = frozenset({ORDER})
    gamma_source: float = Field(0.5, gt=0, le=1)
    """In training, an earlier item weighs gamma_source^k, where k items lie between it and the next one ..."""
    floor: float = Field(0.2, ge=0, le=1)
    """... but at least this, c in the paper; `gamma` weighs the history that is to be completed."""
    popularity: float = Field(0.0, ge=-1, le=0)
    """An item weighs its number of users to this power, beta in the paper; below 0 popular ones count less."""


class Model(ItemItem[Config]):
    """The next item regressed on all before it.

    The paper's gaps are seconds; prepared data keep the order alone, so that gaps are positions here, and popularity is
    that of all of train.
    """

    config_class = Config

    def similarity(self, history: History) -> NDArray[np.float32]:
        """B = (D S^T S D + l2 I)^-1 D S^T T D, D the popularities' powers."""
        sums = directed_sums(history, self._source, next_alone, self.config.cuts)
        users = np.maximum(np.bincount(history.matrix.indices, minlength=self.n_items), 1)
        d = users.astype(sums.ss.dtype) ** self.config.popularity
        q = sums.ss * d * d[:, None]
        q[np.diag_indices_from(q)] += self.config.l2
        b: Floats = inverse(q) @ (sums.st * d * d[:, None])
        return b.astype(np.float32, order="C", copy=False)

    def _source(self, distance: Floats) -> Floats:
        return np.maximum(np.power(self.config.gamma_source, distance), self.config.floor)

    def footprint(self, dataset: Dataset) -> int:
        """The sums, the same with popularities, and the solution."""
        return directed_footprint(dataset, 6)

    def operations(self, dataset: Dataset) -> Operations:
        """Cholesky, the inverse and a product."""
        return directed_operations(dataset, self.config.cuts, 1.5)
