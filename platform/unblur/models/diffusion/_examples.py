"""From histories to a batch: weighted and signed rows of what is generated, and the condition."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.diffusion.condition import Condition, OrderedItems, WeightedRows
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


class Rows(NamedTuple):
    """What x_0 is made of (E, n_items), and how conditions of these examples are made; None: of the same rows."""

    shown: csr_matrix
    condition: Callable[[Some, torch.device], Condition] | None = None

    def on(self, device: torch.device, some: Some = slice(None)) -> tuple[Tensor, Condition]:
        """Both of some examples on the device; one tensor where both are the same."""
        rows = from_scipy(self.shown[some], device)
        return rows, WeightedRows(rows) if self.condition is None else self.condition(some, device)


def weighted(config: DiffusionConfig, pairs: Pairs, w_min: float | None) -> Rows:
    """Rows by recency, with dislikes, and conditions as the encoder reads them.

    w_min: the weight of the condition's oldest entry, if of its own.
    """
    shown, given = pairs.shown, pairs.given
    rows = shown.signed(config.weigh(shown) if pairs.weights is None else pairs.weights, config.dislike_weight)
    if config.newest is not None:
        return Rows(rows, _in_order(given if isinstance(given, Sequences) else given.in_order(), config.newest))
    if w_min is None and given is shown:
        return Rows(rows)

    def weigh(history: History) -> csr_matrix:
        own = config.weigh(history) if w_min is None else history.weighted(w_min, 1, config.w_form, config.gamma)
        return history.signed(own, config.dislike_weight)

    if isinstance(given, Sequences):  # parts that overlap are many times their items: they are weighed batch by batch
        return Rows(rows, lambda some, device: WeightedRows(from_scipy(weigh(History.of(given.rows(some))), device)))
    matrix = weigh(given)
    return Rows(rows, lambda some, device: WeightedRows(from_scipy(matrix[some], device)))


def _in_order(sequences: Sequences, newest: int) -> Callable[[Some, torch.device], Condition]:
    """Conditions of their newest items; a batch is as wide as its longest."""

    def condition(some: Some, device: torch.device) -> OrderedItems:
        chosen = sequences.rows(some)
        items, _ = chosen.padded(max(1, min(newest, chosen.lengths.max(initial=0))))
        return OrderedItems(torch.from_numpy(items).to(device), sequences.n_items)

    return condition
