"""Pairings: from which part of a history x_0 is made, and from which the condition. One file per choice."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.data.sequences import Ints, Sequences, ranges
from unblur.diffusion.condition import Condition
from unblur.registry import modules

PAIRINGS = modules("pairing", __name__)


@dataclass(frozen=True, eq=False)
class Pairs:
    """An epoch's pairs (E,): row i of `shown` is to be generated, given row i of `given`."""

    shown: History
    """Binary, with ranks that say how recent an entry counts (the newest weighs most). An empty row is no example."""
    given: History | Sequences
    """The same, or parts of histories in their order, which may overlap."""
    users: Ints
    """Whose they are (E,)."""
    weights: csr_matrix | None = None
    """`shown` with weights of its own; None: weighed by recency as the model's input is."""
    windows: Sequences | None = None
    """Stretches whose places, one after the other, are what is given: an example is then a window, to be read once for
    all its rows. None: an example is a row."""

    @classmethod
    def by_user(cls, shown: History, given: History) -> "Pairs":
        """One example of each user."""
        return cls(shown, given, np.arange(shown.matrix.shape[0]))

    @property
    def examples(self) -> Ints:
        """What batches are drawn from."""
        lengths = np.diff(self.shown.matrix.indptr) if self.windows is None else self.windows.lengths
        return np.flatnonzero(lengths)

    def rows(self, examples: Ints) -> Ints:
        """The rows of these examples, one example after the other."""
        if self.windows is None:
            return examples
        return ranges(self._first[examples], self._first[examples + 1])

    @cached_property
    def _first(self) -> Ints:
        """Where the rows of each window begin (windows + 1,)."""
        assert self.windows is not None
        return np.concatenate([[0], np.cumsum(self.windows.lengths)])


class Pairing:
    """A part of this package: one file with this class, named `Pairing(config)`, and its `Config`.

    At inference nothing is paired: the condition is the whole history.
    """

    SIGNED: ClassVar[bool] = True
    """Whether dislikes can be a part of what is divided."""
    OF_ITEMS: ClassVar[bool] = False
    """Whether it compares embeddings of items, in the order of the history."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def divide(self, history: History, rng: np.random.Generator) -> Pairs:
        """What x_0 is made of and what the condition is made of, once an epoch; rng is the epoch's."""
        return Pairs.by_user(history, history)

    @property
    def hides(self) -> bool:
        """Whether x_0 has something that the condition lacks."""
        return True

    def lengths(self, dataset: Dataset) -> Ints:
        """Roughly how long the conditions of an epoch's examples are (E,)."""
        return np.diff(dataset.train.indptr).astype(np.int64)

    def of_example(self, dataset: Dataset) -> float:
        """Roughly how many pairs an example has."""
        return 1.0

    def corrupt(self, condition: Condition, items: Tensor | None) -> Condition:
        """The condition as a training step shows it. items: embeddings (n_items, d), where the space has such."""
        return condition
