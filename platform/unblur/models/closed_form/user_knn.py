"""UserKNN: what the most similar users have, weighed by a softmax of the similarities."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.models.base import RANKING_BYTES, Operations
from unblur.models.closed_form._linear import Stored
from unblur.models.files import pack_csr, unpack_csr
from unblur.models.recency import RecencyConfig

TINY = 1e-12  # a user without interactions
ROWS = 256  # histories that are compared with all users at a time


class Config(RecencyConfig):
    neighbours: int = Field(200, ge=1)
    """Most similar users that count."""
    temperature: float = Field(0.1, gt=0)
    """Users weigh exp(cosine / temperature): the nearest alone at 0, all neighbours alike when it is large."""


class Model(Stored[Config]):
    """The mean of a history's completion when training users are all there is (the denoiser of the empirical prior).

    With unit vectors, E[x_0 | x_t] over the train users is softmax_u(x_u . x_t sqrt(abar) / (1 - abar)) X, cosines over
    a temperature that is the noise.
    """

    config_class = Config

    x: csr_matrix  # (n_users, n_items), weighted

    def fit(self, dataset: Dataset) -> None:
        self.x = self.config.weigh(dataset.history()).copy()

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows, known = unit(self.config.weigh(history)), unit(self.x)
        blocks = [self._mean(rows[start : start + ROWS] @ known.T) for start in range(0, len(users), ROWS)]
        return torch.from_numpy(np.concatenate(blocks))

    def _mean(self, similar: csr_matrix) -> NDArray[np.float32]:
        """The neighbours' weighted mean (b, n_items) from cosines with all train users (b, n_users)."""
        cosine = similar.toarray()
        k = min(self.config.neighbours, cosine.shape[1])
        nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosine, nearest, axis=1) / self.config.temperature
        weights = np.exp(values - values.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        starts = np.arange(0, nearest.size + 1, k)
        mixing = csr_matrix((weights.ravel(), nearest.ravel(), starts), shape=cosine.shape)
        mean: NDArray[np.float32] = (mixing @ self.x).toarray()
        return mean

    def footprint(self, dataset: Dataset) -> int:
        """The train users, and for a block of users all similarities, dense and in the partition's order."""
        return 64 * int(dataset.train.nnz) + ROWS * (28 * dataset.n_users + 12 * dataset.n_items) + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """Nothing is learned; what scoring takes is a few times the interactions for each user."""
        return Operations(elements=2.0 * int(dataset.train.nnz))

    def tensors(self) -> dict[str, Tensor]:
        return pack_csr("x", self.x)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.x = unpack_csr("x", tensors, (self.n_users, self.n_items))


def unit(x: csr_matrix) -> csr_matrix:
    """The rows scaled to length 1; empty ones stay empty."""
    lengths = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    return csr_matrix(diags_array(1 / np.maximum(lengths, TINY)) @ x, dtype=np.float32)
