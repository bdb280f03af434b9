"""What came later is generated from what came before: histories are cut in two, at random places."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unblur.data.dataset import WITH_ORDER, History, kept
from unblur.errors import UserError
from unblur.pairings import Pairs, partial
from unblur.parts import ORDER


class Config(partial.Config):
    """Those of a partial condition, and how fast the later part fades."""

    NEEDS = frozenset({ORDER})

    gamma_future: float = Field(0.8, ge=0, le=1)
    """In x_0 an item weighs gamma_future^k, where k items lie between it and the cut; 0: the next alone."""


class Pairing(partial.Pairing):
    """x_0 is a history behind a cut, the condition what lies before it, of which single items are dropped.

    A history of n items is cut after any of its first n - 1, all as likely, anew in every epoch; a single item is no
    example. Condition and target differ by construction, and the condition is to training what a whole history is to
    inference.
    """

    @property
    def hides(self) -> bool:
        return True

    def divide(self, history: History, rng: np.random.Generator) -> Pairs:
        if history.rank is None:
            raise UserError(
                f"pairing = earlier_later cuts histories in time, and this dataset has no order in time: {WITH_ORDER}"
            )
        lengths = np.diff(history.matrix.indptr)
        # of a single item all is earlier
        cuts = np.repeat(1 + (rng.random(len(lengths)) * (lengths - 1)).astype(np.int32), lengths)
        behind = history.rank - cuts  # places behind the cut; negative before it
        later, earlier = _part(history, behind >= 0, behind), _part(history, behind < 0, history.rank)
        weights = later.matrix.copy()
        weights.data = np.power(self.config.gamma_future, behind[behind >= 0]).astype(np.float32)
        return replace(Pairs.by_user(later, earlier), weights=weights)


def _part(history: History, keep: NDArray[np.bool_], rank: NDArray[np.int32]) -> History:
    """The entries that are kept (nnz,), with their own ranks (nnz,)."""
    return History(*kept(history.matrix, keep, rank), history.disliked)
