"""Markov chain of first order: what directly follows the items that a user has, smoothed by popularity.

Shani, Brafman & Heckerman 2005, "An MDP-based recommender system", section 3.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.models.base import RANKING_BYTES, Operations
from unblur.models.closed_form._directed import sequences
from unblur.models.closed_form._linear import Stored
from unblur.models.files import pack_csr, unpack_csr
from unblur.models.recency import GeometricConfig
from unblur.parts import ORDER


class Config(GeometricConfig):
    NEEDS = frozenset({ORDER})
    gamma: float = Field(0.5, ge=0, le=1)
    """The transitions from an item weigh gamma^k, where k items of the user came later; 0 is the last item alone."""
    smoothing: float = Field(10.0, gt=0)
    """Transitions by popularity that are added to those counted from each item."""


class Model(Stored[Config]):
    """p(j | i) = (count(i, j) + smoothing p(j)) / (count(i) + smoothing), mixed over the history."""

    config_class = Config

    transitions: csr_matrix  # (n_items, n_items): count(i, j) / (count(i) + smoothing)
    unseen: NDArray[np.float32]  # (n_items,): smoothing / (count(i) + smoothing)
    popularity: NDArray[np.float32]  # (n_items,): p(j)

    def fit(self, dataset: Dataset) -> None:
        steps = [np.stack([items[:-1], items[1:]]) for items in sequences(dataset.history())]
        before, after = np.concatenate(steps, axis=1) if steps else np.empty((2, 0), dtype=np.int32)
        counts = csr_matrix((np.ones(len(before)), (before, after)), shape=(self.n_items, self.n_items))
        total = np.asarray(counts.sum(axis=1)).ravel() + self.config.smoothing
        counts.data /= np.repeat(total, np.diff(counts.indptr))
        self.transitions = counts.astype(np.float32)
        self.unseen = (self.config.smoothing / total).astype(np.float32)
        users = np.bincount(dataset.train.indices, minlength=self.n_items)
        self.popularity = (users / max(users.sum(), 1)).astype(np.float32)

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        weighted = self.config.weigh(history)
        backed_off = np.outer(weighted @ self.unseen, self.popularity)
        return torch.from_numpy((weighted @ self.transitions).toarray() + backed_off)

    def footprint(self, dataset: Dataset) -> int:
        """Counts and histories, sparse; and ranking."""
        return 64 * int(dataset.train.nnz) + 16 * dataset.n_items + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        return Operations(elements=20.0 * int(dataset.train.nnz))

    def tensors(self) -> dict[str, Tensor]:
        vectors = {"unseen": torch.from_numpy(self.unseen), "popularity": torch.from_numpy(self.popularity)}
        return pack_csr("transitions", self.transitions) | vectors

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.transitions = unpack_csr("transitions", tensors, (self.n_items, self.n_items))
        self.unseen, self.popularity = (tensors[name].numpy() for name in ("unseen", "popularity"))
