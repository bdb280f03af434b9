"""A model with its catalogue: histories of raw item ids in, the top K raw item ids out."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.errors import UserError
from unblur.models.base import Recommender
from unblur.models.dial import DIAL, turn

BLOCK = 512  # users scored at once
Answer = list[list[str]]
"""Item ids of each history, best first."""
log = logging.getLogger("unblur")


class Recommends(Protocol):
    """What a server asks: a `ServedModel`, or one that asks it for several clients at a time."""

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int, guidance_scale: float | None, exclude: Sequence[str]
    ) -> Answer: ...


@dataclass(frozen=True)
class Request:
    """What one client asks of a model: the arguments of `ServedModel.recommend`."""

    histories: Sequence[Sequence[str]]
    k: int = 10
    guidance_scale: float | None = None
    exclude: tuple[str, ...] = ()

    @property
    def dials(self) -> tuple[int, float | None, tuple[str, ...]]:
        """What holds for all of its histories."""
        return self.k, self.guidance_scale, self.exclude


@dataclass(frozen=True)
class ServedModel:
    """A model that answers users it has not been trained on."""

    recommender: Recommender[Any]
    items: Sequence[str]
    """Raw ids by column."""

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        guidance_scale: float | None = None,
        exclude: Sequence[str] = (),
    ) -> Answer:
        """K item ids per history, best first, none of them in it; fewer when it holds almost all of the catalogue.

        A history is a list of raw item ids, oldest first. Ids outside the catalogue are ignored, with a warning that
        names them; one without any known id gets what the model gives to an empty history. guidance_scale: of a guided
        model, in place of the one that it was selected with. exclude: ids of items that nobody gets. UserError for
        k < 1, and for a scale that the model has not.
        """
        if k < 1:
            raise UserError(f"params: k = {k}, expected a number of items from 1 on")
        recommender = self.recommender if guidance_scale is None else self._turned(guidance_scale)
        never = [self._column[item] for item in exclude if item in self._column]
        blocks = (histories[first : first + BLOCK] for first in range(0, len(histories), BLOCK))
        return [best for block in blocks for best in self._block(recommender, self.history(block), k, never)]

    def answers(self, requests: Sequence[Request]) -> list[Answer | UserError]:
        """What `recommend` gives each client, or raises for it; those with the same dials are scored together."""
        alike = defaultdict[Any, list[int]](list)
        for place, request in enumerate(requests):
            alike[request.dials].append(place)
        found: dict[int, Answer | UserError] = {}
        for places in alike.values():
            found |= zip(places, self._together([requests[place] for place in places]), strict=True)
        return [found[place] for place in range(len(requests))]

    def _together(self, alike: Sequence[Request]) -> list[Answer] | list[UserError]:
        """The answers to requests with the same dials."""
        try:
            best = iter(self.recommend([row for request in alike for row in request.histories], *alike[0].dials))
        except UserError as error:
            return [error] * len(alike)
        return [list(islice(best, len(request.histories))) for request in alike]

    def _turned(self, scale: float) -> Recommender[Any]:
        """The model with another guidance scale; that of a request beside this one stays as it is."""
        turned = copy(self.recommender)
        turn(turned, scale, f"params: {DIAL} =")
        return turned

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

    def _block(self, recommender: Recommender[Any], history: History, k: int, never: Sequence[int]) -> list[list[str]]:
        # the row of a user that the model has not seen has no meaning, so that all users share one
        users = np.zeros(history.matrix.shape[0], dtype=np.int64)
        scores = recommender.score(history, users).detach().cpu().numpy().copy()
        scores[history.matrix.nonzero()] = -np.inf
        scores[:, list(never)] = -np.inf
        return [self._best(row, k) for row in scores]

    def _best(self, scores: NDArray[np.float32], k: int) -> list[str]:
        columns = np.argsort(-scores, kind="stable")[:k]
        return [self.items[column] for column in columns if np.isfinite(scores[column])]
