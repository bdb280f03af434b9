"""From histories to a batch: weighted and signed rows of what is generated, and the condition."""

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
from unblur.spaces import Moment


class Examples(NamedTuple):
    """One rank's users of a batch; the tensors are sparse CSR (b, n_items)."""

    rows: Tensor
    """What x_0 is made of: weighted hits, and with a signed input negative dislikes."""
    condition: Condition
    disliked: Tensor | None = None
    """Binary; None where the loss does not ask for it."""
    moment: Moment = Moment(0, 0)


class Rows(NamedTuple):
    """What x_0 is made of (B, n_items), and the condition: as such rows, or in its order."""

    shown: csr_matrix
    given: csr_matrix | Sequences
    newest: int = 0
    """How many items of a condition in its order are read."""

    def on(self, device: torch.device, users: NDArray[np.int64] | slice = slice(None)) -> tuple[Tensor, Condition]:
        """Both of `users` on the device; one tensor where both are the same."""
        rows = from_scipy(self.shown[users], device)
        if isinstance(self.given, Sequences):
            sequences = self.given.rows(np.arange(self.shown.shape[0])[users])
            items, _ = sequences.padded(max(1, min(self.newest, sequences.lengths.max(initial=0))))
            return rows, OrderedItems(torch.from_numpy(items).to(device), sequences.n_items)
        return rows, WeightedRows(rows if self.given is self.shown else from_scipy(self.given[users], device))


def weighted(config: DiffusionConfig, shown: History, given: History, w_min: float | None) -> Rows:
    """Both histories by recency, with dislikes; w_min: the weight of the condition's oldest entry, if of its own."""
    rows = shown.signed(config.weigh(shown), config.dislike_weight)
    if config.newest is not None:
        return Rows(rows, given.in_order(), config.newest)
    if w_min is None and given is shown:
        return Rows(rows, rows)
    condition = config.weigh(given) if w_min is None else given.weighted(w_min, 1, config.w_form, config.gamma)
    return Rows(rows, given.signed(condition, config.dislike_weight))
