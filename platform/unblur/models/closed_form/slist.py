"""SLIST: a linear item-item model of what users have together and of what follows what (Choi et al. 2021)."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import Dataset, History
from unblur.models.base import Operations
from unblur.models.closed_form._directed import (
    DirectedConfig,
    Sums,
    directed_footprint,
    directed_operations,
    directed_sums,
    geometric,
)
from unblur.models.closed_form._linear import Floats, ItemItem, gram, inverse, precision, without_diagonal
from unblur.parts import ORDER, Needs


class Config(DirectedConfig):
    a: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(0.5, ge=0, le=1)
    """Share of what users have together, in whichever order (EASE is 1), against what follows what (0)."""
    gamma_future: float = Field(0.8, ge=0, le=1)
    """An item of the later part weighs gamma_future^k, where k items lie between it and the cut; 0: the next alone."""

    def sums(self, history: History, with_tt: bool = False) -> Sums:
        """The directed sums with these weights."""
        return directed_sums(history, geometric(self.gamma), geometric(self.gamma_future), self.cuts, with_tt)


class Model(ItemItem[Config]):
    """The earlier part of a history is weighed as the history is that is to be completed; no item predicts itself."""

    config_class = Config

    def similarity(self, history: History) -> NDArray[np.float32]:
        b = regression(self.config, history, self.config.sums(history) if self.config.a < 1 else None)
        return b.astype(np.float32, order="C", copy=False)

    def footprint(self, dataset: Dataset) -> int:
        """The sums, the Gram matrix, the ridge regression's matrix and its solution."""
        return directed_footprint(dataset, 6)

    def operations(self, dataset: Dataset) -> Operations:
        """Cholesky, the inverse and a product."""
        return directed_operations(dataset, self.config.cuts, 1.5)


def regression(config: Config, history: History, sums: Sums | None) -> Floats:
    """B = Q^-1 K - Q^-1 diag((Q^-1 K)_jj / (Q^-1)_jj), row = what a user has; sums may be missing where a is 1.

    Q = a X^T X + (1-a) S^T S + l2 I and K = a X^T X + (1-a) S^T T: eq. 12 of the paper with weighted rows, X the whole
    histories, S the earlier and T the later parts, and with a diagonal of zero, which the paper's SLIT part lacks.
    """
    k = gram(config.weigh(history), precision(history.matrix.shape[1]))
    k *= config.a
    q = k.copy()
    if sums is not None:
        q += (1 - config.a) * sums.ss
        k += (1 - config.a) * sums.st
    q[np.diag_indices_from(q)] += config.l2
    p = inverse(q)
    b = without_diagonal(p @ k, p)
    np.fill_diagonal(b, 0)
    return b
