"""Small interactions for models in closed form, and such models fitted to them."""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset
from unblur.models import configure, model_class

N_USERS, N_ITEMS = 60, 25


def dataset(seed: int = 0, ordered: bool = True) -> Dataset:
    """Users of two tastes; the last user has no history and the last item no user."""
    rng = np.random.default_rng(seed)
    taste = (np.arange(N_USERS)[:, None] % 2) == (np.arange(N_ITEMS) % 2)
    train = (rng.random((N_USERS, N_ITEMS)) < np.where(taste, 0.5, 0.1)).astype(np.float32)
    train[-1], train[:, -1] = 0, 0
    matrix = csr_matrix(train)
    rank = np.concatenate([rng.permutation(n) for n in np.diff(matrix.indptr)]).astype(np.int32)
    return _with_order(matrix, rank if ordered else None)


def chain(length: int = 4) -> Dataset:
    """User u goes from item u through the `length` - 1 that follow it, in a circle of all items."""
    start, step = np.arange(N_USERS)[:, None], np.arange(length)
    ranks = np.zeros((N_USERS, N_ITEMS), dtype=np.int32)
    np.put_along_axis(ranks, (start + step) % N_ITEMS, np.broadcast_to(step + 1, (N_USERS, length)), axis=1)
    matrix = csr_matrix((ranks > 0).astype(np.float32))
    return _with_order(matrix, ranks[ranks > 0] - 1)


def fitted(name: str, data: Dataset, **params: Any) -> Any:
    model: Any = model_class(name)(configure(name, params, "test"), data.n_users, data.n_items)
    model.fit(data)
    return model


def scores(model: Any, data: Dataset) -> np.ndarray:
    return model.score(data.history(), np.arange(data.n_users)).numpy()


def _with_order(matrix: csr_matrix, rank: np.ndarray | None) -> Dataset:
    empty = csr_matrix(matrix.shape, dtype=np.float32)
    ids = (np.arange(n).astype(np.str_) for n in matrix.shape)
    return Dataset(matrix, empty, rank, None, *ids, "digest")
