"""Which data a search selects by (`--validation`): one public function each, found by its name.

A validation is given the prepared train and validation parts and answers those that trials train on and are judged by.
Final runs train on the prepared ones whatever it is, and the test part is in none of them. It raises UserError where
the data lack what it needs.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, Ranks, kept
from unblur.errors import UserError

Ints = NDArray[np.int64]
Part = tuple[csr_matrix, Ranks]


def given(dataset: Dataset) -> Dataset:
    """The validation part as it is, which follows train at once where data are divided by time."""
    return dataset


def last(dataset: Dataset) -> Dataset:
    """The end of each user's train, as much as the given validation part holds and at least one, never all of it.

    For a test that follows train at once while the given validation part lies elsewhere, which is not looked at: its
    items are candidates, as those of the test are. Who has a single interaction is not asked.
    """
    (train, train_rank), (valid, valid_rank) = _cut(dataset, "last", least=1)
    return replace(
        dataset,
        train=train,
        train_rank=train_rank,
        valid=valid,
        valid_rank=valid_rank,
        fold_in=(),
        digest=_digest(dataset, "last"),
    )


def gap(dataset: Dataset) -> Dataset:
    """The validation part across a gap: each user's train without its end, as much of it as validation holds.

    For a test with history train, which lies behind the validation part: what is between is seen by nobody, there and
    here, and recommended to nobody. At least one interaction stays in everybody's history.
    """
    if dataset.fold_in:
        raise UserError(
            "--validation gap hides what lies before validation, which this split gives as input: leave it out "
            "(--validation given)"
        )
    (train, train_rank), (behind, _) = _cut(dataset, "gap", least=0)
    hidden = behind if dataset.hidden is None else (behind + dataset.hidden).tocsr()
    return replace(dataset, train=train, train_rank=train_rank, hidden=hidden, digest=_digest(dataset, "gap"))


def _cut(dataset: Dataset, name: str, least: int) -> tuple[Part, Part]:
    """Train without each user's last interactions, and these: as many as there are in validation, or `least`."""
    rank = dataset.train_rank
    if dataset.events is not None:
        raise UserError(f"--validation {name} cuts histories without repetitions, and these keep them: leave one out")
    if rank is None:
        raise UserError(
            f"--validation {name} needs to know which of a user's interactions in train are the last, and these data "
            "have no order in time: leave it out (--validation given), or use data with times"
        )
    lengths = np.diff(dataset.train.indptr).astype(np.int64)
    behind = np.minimum(np.maximum(np.diff(dataset.valid.indptr), least), np.maximum(lengths - 1, 0))
    first = np.repeat(lengths - behind, lengths)  # rank of the first that is cut
    late = rank >= first
    return kept(dataset.train, ~late, rank), kept(dataset.train, late, (rank - first).astype(np.int32))


def _digest(dataset: Dataset, name: str) -> str:
    """What is learned from these parts is none of the prepared ones'."""
    return hashlib.sha256(f"{dataset.digest} validation {name}".encode()).hexdigest()
