"""A model with its catalogue: histories of raw item ids in, the top K raw item ids out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.errors import UserError
from unblur.models.base import Recommender

BLOCK = 512  # users scored at once
log = logging.getLogger("unblur")


@dataclass(frozen=True)
class ServedModel:
    """A model that answers users it has not been trained on."""

    recommender: Recommender[Any]
    items: Sequence[str]
    """Raw ids by column."""

    def recommend(self, histories: Sequence[Sequence[str]], k: int = 10) -> list[list[str]]:
        """K item ids per history, best first, none of them in it; fewer when it holds almost all of the catalogue.

        A history is a list of raw item ids, oldest first. Ids outside the catalogue are ignored, with a warning that
        names them; one without any known id gets what the model gives to an empty history. UserError for k < 1.
        """
        if k < 1:
            raise UserError(f"params: k = {k}, expected a number of items from 1 on")
        blocks = (histories[first : first + BLOCK] for first in range(0, len(histories), BLOCK))
        return [best for block in blocks for best in self._block(self.history(block), k)]

    def history(self, rows: Sequence[Sequence[str]]) -> History:
        """The histories with their order in time; in the matrix an item given twice counts where it came first."""
        unknown = {item for row in rows for item in row if item not in self._column}
        if unknown:
            named = ", ".join(sorted(map(str, unknown))[:10])
            log.warning("ignored %d item ids that are not in the catalogue: %s", len(unknown), named)
        events = [[self._column[i] for i in row if i in self._column] for row in rows]
        every = np.array([column for columns in events for column in columns], dtype=np.int64)
        return History.of(Sequences.ragged(every, np.cumsum([0, *map(len, events)]), len(self.items)))

    @cached_property
    def _column(self) -> dict[str, int]:
        return {item: column for column, item in enumerate(self.items)}

    def _block(self, history: History, k: int) -> list[list[str]]:
        # the row of a user that the model has not seen has no meaning, so that all users share one
        users = np.zeros(history.matrix.shape[0], dtype=np.int64)
        scores = self.recommender.score(history, users).detach().cpu().numpy().copy()
        scores[history.matrix.nonzero()] = -np.inf
        return [self._best(row, k) for row in scores]

    def _best(self, scores: NDArray[np.float32], k: int) -> list[str]:
        columns = np.argsort(-scores, kind="stable")[:k]
        return [self.items[column] for column in columns if np.isfinite(scores[column])]
