"""From histories to a batch: weighted and signed rows of what is generated, and the condition."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.diffusion.condition import Condition, EveryPlace, OrderedItems, WeightedRows
from unblur.models.diffusion._config import DiffusionConfig
from unblur.nn.sparse import from_scipy
from unblur.pairings import Pairs
from unblur.spaces import Moment


class Examples(NamedTuple):
    """One rank's examples of a batch; the tensors are sparse CSR (b, n_items)."""

    rows: Tensor
    """What x_0 is made of: weighted hits, and with a signed input negative dislikes."""
    condition: Condition
    disliked: Tensor | None = None
    """Binary; None where the loss does not ask for it."""
    moment: Moment = Moment(0, 0)


Some = NDArray[np.int64] | slice
RowsOf = Callable[[Any], Any]
"""From some examples to some rows."""


class Rows(NamedTuple):
    """What x_0 is made of (E, n_items), and how conditions of examples are made; None: of the same rows."""

    shown: csr_matrix
    condition: Callable[[Some, torch.device], Condition] | None = None
    rows_of: RowsOf = lambda examples: examples
    """The rows of `shown` that examples have."""

    def on(self, device: torch.device, some: Some = slice(None)) -> tuple[Tensor, Condition]:
        """Both of some examples on the device; one tensor where both are the same."""
        rows = from_scipy(self.shown[self.rows_of(some)], device)
        return rows, WeightedRows(rows) if self.condition is None else self.condition(some, device)


def weighted(config: DiffusionConfig, pairs: Pairs, w_min: float | None) -> Rows:
    """Rows by recency, with dislikes, and conditions as the encoder reads them.

    w_min: the weight of the condition's oldest entry, if of its own.
    """
    shown, given = pairs.shown, pairs.given
    rows = shown.signed(config.weigh(shown) if pairs.weights is None else pairs.weights, config.dislike_weight)
    if config.newest is not None and pairs.windows is not None:
        return Rows(rows, _at_every_place(pairs.windows), pairs.rows)
    if config.newest is not None:
        return Rows(rows, _in_order(given if isinstance(given, Sequences) else given.in_order(), config.newest))
    if w_min is None and given is shown:
        return Rows(rows)

    def weigh(history: History) -> csr_matrix:
        own = config.weigh(history) if w_min is None else history.weighted(w_min, 1, config.w_form, config.gamma)
        return history.signed(own, config.dislike_weight)

    if isinstance(given, Sequences):  # parts that overlap are many times their items: they are weighed batch by batch
        parts, rows_of = given, cast(RowsOf, pairs.rows)

        def condition(some: Some, device: torch.device) -> WeightedRows:
            return WeightedRows(from_scipy(weigh(History.of(parts.rows(rows_of(some)))), device))

        return Rows(rows, condition, rows_of)
    matrix = weigh(given)
    return Rows(rows, lambda some, device: WeightedRows(from_scipy(matrix[some], device)))


def _in_order(sequences: Sequences, newest: int) -> Callable[[Some, torch.device], Condition]:
    """Conditions of their newest items; a batch is as wide as its longest."""

    def condition(some: Some, device: torch.device) -> OrderedItems:
        chosen = sequences.rows(some)
        items, _ = chosen.padded(max(1, min(newest, chosen.lengths.max(initial=0))))
        return OrderedItems(torch.from_numpy(items).to(device), sequences.n_items)

    return condition


def _at_every_place(windows: Sequences) -> Callable[[Some, torch.device], Condition]:
    """Conditions at all places of windows."""

    def condition(some: Some, device: torch.device) -> EveryPlace:
        chosen = windows.rows(some)
        items, _ = chosen.padded(max(1, chosen.lengths.max(initial=0)))
        return EveryPlace.of(torch.from_numpy(items).to(device), windows.n_items)

    return condition
