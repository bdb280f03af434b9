"""The next item is generated from what came before it: DreamRec's pairs, and those of most sequence models."""

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, History
from unblur.data.sequences import Ints, ranges
from unblur.pairings import Pairs, partial
from unblur.parts import ORDER


class Config(partial.Config):
    """Those of a partial condition, and which items are to be generated."""

    NEEDS = frozenset({ORDER})

    next_items: Literal["every", "last"] = Field("every")
    """Every item but a user's first, each from all that came before it; or each user's last alone."""


class Pairing(partial.Pairing):
    """x_0 is one item, the condition is the history up to it, of which single items may be dropped."""

    SIGNED = False

    @property
    def hides(self) -> bool:
        return True

    def divide(self, history: History, rng: np.random.Generator) -> Pairs:
        sequences = history.in_order()
        starts, ends = sequences.starts, sequences.ends
        first = starts + 1 if self.config.next_items == "every" else np.maximum(starts + 1, ends - 1)
        targets = sequences.stretches(np.minimum(first, ends), ends)
        users, places = np.repeat(np.arange(len(starts)), targets.lengths), targets.places
        shown = single(sequences.items[places], sequences.n_items)
        return Pairs(shown, sequences.stretches(starts[users], places), users)

    def lengths(self, dataset: Dataset) -> Ints:
        before = np.diff(dataset.train.indptr).astype(np.int64) - 1  # the last item
        before = before[before > 0]
        if self.config.next_items == "last":
            return before
        return ranges(np.ones_like(before), before + 1)


def single(items: Ints, n_items: int) -> History:
    """Histories of one item each."""
    ones = np.ones(len(items), np.float32)
    matrix = csr_matrix((ones, items, np.arange(len(items) + 1)), shape=(len(items), n_items))
    return History(matrix, np.zeros(len(items), np.int32))
