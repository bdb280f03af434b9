"""Popularity: everybody gets the items that most users have."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unblur.data.dataset import WITH_ORDER, Dataset, History
from unblur.errors import UserError
from unblur.models.base import ModelConfig, Operations
from unblur.models.closed_form._linear import Stored
from unblur.parts import ORDER, Needs


class Config(ModelConfig):
    recent_share: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, gt=0, le=1)
    """Share of each user's train interactions, the most recent ones, that is counted."""


class Model(Stored[Config]):
    config_class = Config

    counts: Tensor  # (n_items,) float32

    def fit(self, dataset: Dataset) -> None:
        items = dataset.train.indices
        if self.config.recent_share < 1:
            items = items[self._recent(dataset)]
        self.counts = torch.from_numpy(np.bincount(items, minlength=self.n_items).astype(np.float32))

    def _recent(self, dataset: Dataset) -> NDArray[np.bool_]:
        """Which entries of train are counted: of n the last ceil(n * recent_share)."""
        if dataset.train_rank is None:
            raise UserError(f"recent_share counts what is recent, and this dataset has no order in time: {WITH_ORDER}")
        lengths = np.diff(dataset.train.indptr)
        old = lengths - np.ceil(lengths * self.config.recent_share)
        return np.asarray(dataset.train_rank >= np.repeat(old, lengths))

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        return self.counts.expand(len(users), -1)

    def footprint(self, dataset: Dataset) -> int:
        return 16 * int(dataset.train.nnz) + 8 * dataset.n_items

    def operations(self, dataset: Dataset) -> Operations:
        return Operations(elements=2.0 * int(dataset.train.nnz))

    def tensors(self) -> dict[str, Tensor]:
        return {"counts": self.counts}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.counts = tensors["counts"]
