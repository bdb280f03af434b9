"""What the closed-form models share: one way to be stored, recency weights, and matrices over pairs of items."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs
from scipy.sparse import csr_matrix, issparse, vstack
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.errors import UserError
from unblur.models.base import ClosedFormRecommender, ModelConfig
from unblur.models.files import load_model, pack_csr, save_model, unpack_csr
from unblur.models.recency import HistoryConfig

C = TypeVar("C", bound=ModelConfig)
H = TypeVar("H", bound=HistoryConfig)

Floats = NDArray[np.floating]

BLOCK = 1024  # items whose row over all items is made dense at a time
EXACT_ITEMS = 10_000  # up to here in double precision; beyond, memory matters more than the last digits


class Stored(ClosedFormRecommender[C]):
    """A closed-form model that is a handful of tensors."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What `fit` learned."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""

    @property
    def parameter_count(self) -> int:
        """The stored numbers that scores come from; a sparse matrix's places are none."""
        return sum(tensor.numel() for tensor in self.tensors().values() if tensor.is_floating_point())

    def save(self, folder: Path) -> None:
        extra = {"n_users": self.n_users, "n_items": self.n_items, "seed": self.seed}
        save_model(folder, self.config, self.tensors(), extra)

    @classmethod
    def load(cls, folder: Path) -> Self:
        config, tensors, extra = load_model(folder, cls.config_class)
        try:
            model = cls(config, **extra)  # type: ignore[arg-type]  # config_class is the C of each model
            model.restore(tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder} holds another kind of model: {error}; train it again") from error
        return model


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of their names: a part's of a model made of parts."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class ItemItem(Stored[H]):
    """Scores are the weighted history times a matrix (n_items, n_items), dense or CSR, row = what the user has."""

    matrix: NDArray[np.float32] | csr_matrix

    @abstractmethod
    def similarity(self, history: History) -> NDArray[np.float32] | csr_matrix:
        """The matrix, learned from the train interactions of all users."""

    def fit(self, dataset: Dataset) -> None:
        self.matrix = self.similarity(dataset.history())

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        scores = self.config.weigh(history) @ self.matrix
        return torch.from_numpy(scores.toarray() if issparse(scores) else scores)

    def tensors(self) -> dict[str, Tensor]:
        if isinstance(self.matrix, np.ndarray):
            return {"dense": torch.from_numpy(self.matrix)}
        return pack_csr("matrix", self.matrix)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        shape = (self.n_items, self.n_items)
        self.matrix = tensors["dense"].numpy() if "dense" in tensors else unpack_csr("matrix", tensors, shape)
        if self.matrix.shape != shape:
            raise ValueError(f"its matrix is {self.matrix.shape}, not {shape}")


def pairs(dataset: Dataset) -> float:
    """Multiply-adds of the sparse product x^T x: every pair of a user's items."""
    return float(np.square(np.diff(dataset.train.indptr).astype(np.float64)).sum())


def nearest(similar: Callable[[slice], csr_matrix], n_items: int, k: int) -> csr_matrix:
    """The sparse matrix (n_items, n_items) in which every *column* keeps its k largest positive off-diagonal entries.

    `similar(block)` gives the columns of a block of items as rows: (b, n_items) with target items in rows. Only one
    block is dense at a time, so memory is about 4 * BLOCK * n_items bytes and k entries per item.
    """
    blocks = [_largest(similar(block).toarray(), block.start, k) for block in _blocks(n_items)]
    return vstack(blocks).T.tocsr()


def precision(n_items: int) -> type[np.floating]:
    """The floating type in which sums over pairs of so many items are held."""
    return np.float64 if n_items <= EXACT_ITEMS else np.float32


def gram(x: csr_matrix, dtype: type[np.floating] = np.float32) -> NDArray[np.floating]:
    """x^T x dense (n_items, n_items); the sparse product of a block at a time, since the whole can exceed the dense."""
    rows = csr_matrix(x, dtype=dtype)
    columns = rows.tocsc()
    result = np.empty((x.shape[1], x.shape[1]), dtype=dtype)
    for block in _blocks(x.shape[1]):
        result[block] = (columns[:, block].T @ rows).toarray()
    return result


def inverse(a: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inverse of a symmetric positive definite matrix by Cholesky, in the same memory: `a` is overwritten.

    Raises UserError when `a` is not positive definite in its precision.
    """
    lapack: Any = get_lapack_funcs(("potrf", "potri"), (a,))
    potrf, potri = lapack
    # LAPACK works by columns; a symmetric matrix by rows is the same, so the transposed view needs no copy
    factor, failed = potrf(a.T, lower=True, overwrite_a=True)
    if failed:
        raise UserError("the item-item matrix cannot be inverted; a larger l2 makes it better conditioned")
    lower, _ = potri(factor, lower=True, overwrite_c=True)
    for block in _blocks(len(lower)):
        lower[block, block.stop :] = lower[block.stop :, block].T
        lower[block, block] = np.tril(lower[block, block]) + np.tril(lower[block, block], -1).T
    return np.asarray(lower)


def without_diagonal(b: Floats, p: Floats) -> Floats:
    """`b` = p K, overwritten, with the correction that makes its diagonal zero at the least cost.

    By Lagrange multipliers; p is the inverse of the ridge regression's matrix (Steck et al. 2020, "ADMM SLIM", eq. 9).
    """
    b -= p * np.divide(np.diag(b), np.diag(p))
    return b


def _largest(rows: NDArray[np.float32], start: int, k: int) -> csr_matrix:
    """The k largest positive entries of each row; row r belongs to item start + r, which is not its own neighbour."""
    n, n_items = rows.shape
    rows[np.arange(n), start + np.arange(n)] = 0
    k = min(k, n_items)
    columns = np.argpartition(-rows, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(rows, columns, axis=1)
    kept = values > 0
    where = (np.nonzero(kept)[0], columns[kept])
    return csr_matrix((values[kept], where), shape=rows.shape, dtype=np.float32)


def _blocks(n_items: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, n_items)) for start in range(0, n_items, BLOCK))
