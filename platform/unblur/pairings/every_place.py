"""At every place of a history the next item is generated from what came before it, all places being read at once.

The pairs are those of `prefix_next`; an example of a batch is a window with all its places, of which networks that
never look ahead make one pass (ADRec, Chen et al., KDD 2025; as sequence models are trained since SASRec).
"""

import numpy as np
from pydantic import Field

from unblur.data.dataset import Dataset, History
from unblur.data.sequences import Ints, Sequences
from unblur.pairings import Pairs, partial, prefix_next
from unblur.parts import ORDER


class Config(partial.Config):
    """Those of a partial condition, with which each place is read on its own; and the length of a window."""

    NEEDS = frozenset({ORDER})

    max_length: int = Field(50, ge=1)
    """Newest items of a history that are read."""


class Pairing(prefix_next.Pairing):
    """x_0 are the items behind each place of a window, a condition is what lies up to the place."""

    def divide(self, history: History, rng: np.random.Generator) -> Pairs:
        windows, users = history.in_order().windows(self.config.max_length)
        read = windows.stretches(windows.starts, windows.ends - 1)
        behind = read.places + 1
        given = read.stretches(np.repeat(read.starts, read.lengths), behind)
        return Pairs(
            prefix_next.single(read.items[behind], read.n_items), given, np.repeat(users, read.lengths), None, read
        )

    def lengths(self, dataset: Dataset) -> Ints:
        train = dataset.train
        items, indptr = (part.astype(np.int64) for part in (train.indices, train.indptr))
        histories = Sequences.ragged(items, indptr, dataset.n_items)
        windows, _ = histories.windows(self.config.max_length)
        return windows.lengths - 1  # the last item

    def of_example(self, dataset: Dataset) -> float:
        lengths = self.lengths(dataset)
        return float(lengths.sum() / max(1, len(lengths)))
