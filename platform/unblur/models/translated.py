"""A model over its own catalogue that answers in the columns of another one; items are matched by their raw ids."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.evaluation.ranking import evaluating
from unblur.models.base import Recommender


@dataclass(frozen=True)
class Translated:
    """A scorer over another catalogue than that of `model`, whose users are new to it.

    own, other: raw ids by column, of the model's catalogue and of the one in which it answers. What the model does not
    know is dropped from histories, and comes after all that it knows in every ranking.
    """

    model: Recommender[Any]
    own: Sequence[str]
    other: Sequence[str]

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """Where each of the other catalogue's items is in the model's own (n,); -1 where it is not."""
        place = {item: column for column, item in enumerate(self.own)}
        return np.array([place.get(item, -1) for item in self.other], dtype=np.int64)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which items of the other catalogue the model knows (n,)."""
        return self.columns >= 0

    @property
    def device(self) -> torch.device:
        return getattr(self.model, "device", torch.device("cpu"))

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """Scores (B, n) of the other catalogue's items."""
        # the row of a user that the model has not seen has no meaning, so that all users share one
        with evaluating(self.model):
            own = self.model.score(self.history(history), np.zeros_like(users))
        columns, known = (torch.from_numpy(each).to(own.device) for each in (self.columns, self.known))
        below = torch.nextafter(own.amin(dim=1, keepdim=True), own.new_tensor(-torch.inf))
        return torch.where(known, own[:, columns.clamp(min=0)], below)

    def history(self, history: History) -> History:
        """Histories over the other catalogue as the model reads them."""
        disliked = None if history.disliked is None else self._moved(history.disliked)
        if history.rank is None:
            return History(self._moved(history.matrix), None, disliked)
        events = history.in_order()
        owners = np.repeat(np.arange(len(events.lengths)), events.lengths)
        items = self.columns[events.items[events.places]]
        lengths = np.bincount(owners[items >= 0], minlength=len(events.lengths))
        own = Sequences.ragged(items[items >= 0], np.cumsum([0, *lengths]), len(self.own))
        return replace(History.of(own), disliked=disliked)

    def _moved(self, matrix: csr_matrix) -> csr_matrix:
        entries = matrix.tocoo()
        kept = self.known[entries.col]
        places = (entries.row[kept], self.columns[entries.col[kept]])
        moved = csr_matrix((entries.data[kept], places), shape=(matrix.shape[0], len(self.own)))
        moved.sort_indices()
        return moved
