"""Other users' histories, for a weak pass that is told of somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unblur.data.dataset import History
from unblur.models.files import pack_csr, unpack_csr

OTHERS = 256
"""How many there are to choose from."""
NAME, RANK = "others", "others.rank"


@dataclass(frozen=True)
class OtherHistories:
    """Some of the histories that were trained on."""

    history: History

    @classmethod
    def drawn(cls, history: History, seed: int) -> Self:
        """At most `OTHERS` of those that are not empty."""
        some = np.flatnonzero(np.diff(history.matrix.indptr))
        chosen = np.random.default_rng(seed).permutation(some)[:OTHERS]
        rows = history.rows(np.sort(chosen))
        return cls(History(rows.matrix, rows.rank))

    def beside(self, history: History) -> History:
        """One for each of these histories (b), by what is in it alone: whoever asks, and with whom, gets the same."""
        matrix = history.matrix
        sums = np.concatenate([[0], np.cumsum(matrix.indices, dtype=np.int64)])[matrix.indptr]
        return self.history.rows(np.diff(sums) % self.history.matrix.shape[0])

    def tensors(self) -> dict[str, Tensor]:
        """For a saved model's file."""
        rank = self.history.rank
        return pack_csr(NAME, self.history.matrix) | ({} if rank is None else {RANK: torch.from_numpy(rank)})

    @classmethod
    def taken(cls, tensors: dict[str, Tensor], n_items: int) -> Self | None:
        """What `tensors` gave, which is taken out of a file's tensors; None where there is none."""
        own = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f"{NAME}.")}
        return cls(_unpacked(own, n_items)) if own else None


def _unpacked(own: Mapping[str, Tensor], n_items: int) -> History:
    shape = (len(own[f"{NAME}.indptr"]) - 1, n_items)
    return History(unpack_csr(NAME, own, shape), own[RANK].numpy() if RANK in own else None)
