"""iALS (Hu, Koren & Volinsky 2008): weighted matrix factorisation by alternating least squares, with `implicit`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.errors import UserError
from unblur.models.base import RANKING_BYTES, Operations
from unblur.models.closed_form._linear import Stored
from unblur.models.recency import RecencyConfig


class Config(RecencyConfig):
    factors: int = Field(64, ge=1)
    """Size of the factors."""
    alpha: float = Field(1.0, gt=0)
    """An interaction of (recency) weight w has the confidence 1 + alpha w, all others 1."""
    l2: float = Field(10.0, ge=0)
    """Ridge penalty on the factors."""
    iterations: int = Field(15, ge=1)
    """Rounds of alternating least squares."""


class Model(Stored[Config]):
    """Users are folded in: their factors are solved for from the history that `score` is given."""

    config_class = Config
    RANDOM = True  # where the factors start

    def fit(self, dataset: Dataset) -> None:
        self.solver = self._solver()
        with _one_blas_thread():
            self.solver.fit(self._confidence(dataset.history()), show_progress=False)

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        with _one_blas_thread():
            factors = self.solver.recalculate_user(users, self._confidence(history))
        return torch.from_numpy(factors @ self.solver.item_factors.T)

    def _confidence(self, history: History) -> csr_matrix:
        """c (B, n_items) of the interactions (eq. 2)."""
        x = self.config.weigh(history)
        # copies: `implicit` takes no arrays that may not be written, as those of Ray's object store
        return csr_matrix((1 + self.config.alpha * x.data, x.indices.copy(), x.indptr.copy()), shape=x.shape)

    def _solver(self) -> Any:
        return _library("implicit.cpu.als").AlternatingLeastSquares(
            factors=self.config.factors,
            regularization=self.config.l2,
            iterations=self.config.iterations,
            num_threads=torch.get_num_threads(),
            random_state=np.random.default_rng(self.seed),
        )

    def footprint(self, dataset: Dataset) -> int:
        """The factors and their initial draw, the confidences by row and by column, and what ranking takes."""
        factors = 8 * self.config.factors * (dataset.n_users + dataset.n_items)
        return factors + 32 * int(dataset.train.nnz) + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """Three conjugate gradient steps per row and side in each iteration."""
        rows, per_step = dataset.n_users + dataset.n_items, 2.0 * int(dataset.train.nnz) * self.config.factors
        steps = 3 * self.config.iterations
        return Operations(elements=steps * (per_step + rows * self.config.factors**2) / 24)

    def tensors(self) -> dict[str, Tensor]:
        return {"items": torch.from_numpy(self.solver.item_factors)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.solver = self._solver()
        self.solver.item_factors = tensors["items"].numpy()


def _one_blas_thread() -> Any:
    """`implicit` has threads of its own, which BLAS's threads would fight with."""
    return _library("threadpoolctl").threadpool_limits(1, user_api="blas")


def _library(module: str) -> Any:
    """Imported only when needed, so that the other models do without it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"the model ials needs the package implicit (pip install implicit): {error}") from error
