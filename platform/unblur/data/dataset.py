"""What a model may see of a dataset: training and validation interactions, and the order they came in."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from unblur.data.request import Seen
from unblur.data.sequences import Ints, Sequences, joined, ranges
from unblur.errors import UserError

Ranks = NDArray[np.int32]
WeightForm = Literal["linear", "exponential", "geometric"]
HistoryName = Literal["train", "train+valid"]
"""The parts that a model sees of a user when it is tested."""
WITH_ORDER = "use data with times, or another model"
"""The way out where something needs an order that the data do not have."""


def kept(matrix: csr_matrix, keep: NDArray[np.bool_], rank: Ranks) -> tuple[csr_matrix, Ranks]:
    """The entries of a CSR matrix that are kept (nnz,), and their ranks, of those of all (nnz,)."""
    indptr = np.concatenate([[0], np.cumsum(keep)])[matrix.indptr]
    return csr_matrix((matrix.data[keep], matrix.indices[keep], indptr), shape=matrix.shape), rank[keep]


@dataclass(frozen=True)
class History:
    """Interactions of B users, with their order in time.

    `matrix` is a binary CSR float32 (B, n_items). `rank` is aligned with `matrix.indices`: the 0-based position
    of each entry in its user's time order, or None where the data carry no order. `disliked` is a binary CSR
    (B, n_items) of what the users rated too low for a hit, or None where nothing is known of that. `events` is every
    interaction in order of time, or None where nobody has an item twice.
    """

    matrix: csr_matrix
    rank: Ranks | None
    disliked: csr_matrix | None = None
    events: Sequences | None = None

    @classmethod
    def of(cls, events: Sequences) -> "History":
        """From items in their order; in the matrix one that is there twice counts where it came first."""
        owners = np.repeat(np.arange(len(events.lengths)), events.lengths)
        keys = owners * events.n_items + events.items[events.places]
        entries, first = np.unique(keys, return_index=True)  # by user, then by item
        indptr = np.searchsorted(entries, np.arange(len(events.lengths) + 1) * events.n_items)
        shape = (len(events.lengths), events.n_items)
        matrix = csr_matrix((np.ones(len(entries), np.float32), entries % events.n_items, indptr), shape=shape)
        rank = np.searchsorted(np.sort(first), first) - indptr[owners[first]]
        return cls(matrix, rank.astype(np.int32), events=events)

    def rows(self, users: NDArray[np.int64]) -> "History":
        """The histories of `users` (B,), in that order."""
        matrix = self.matrix[users]
        disliked = None if self.disliked is None else self.disliked[users]
        events = None if self.events is None else self.events.rows(users)
        if self.rank is None:
            return History(matrix, None, disliked, events)
        indptr = self.matrix.indptr.astype(np.int64)
        return History(matrix, self.rank[ranges(indptr[users], indptr[users + 1])], disliked, events)

    def newest(self, count: int) -> "History":
        """The last `count` interactions of each user, all of those that have fewer; none at 0. What was disliked, which
        has no place among them, is left out. Raises UserError where the data carry no order."""
        if self.events is not None:
            return History.of(
                self.events.stretches(np.maximum(self.events.ends - count, self.events.starts), self.events.ends)
            )
        if self.rank is None:
            raise UserError(f"which interactions are the newest is not known without an order in time: {WITH_ORDER}")
        lengths = np.diff(self.matrix.indptr)
        first = np.repeat(np.maximum(lengths - count, 0), lengths)  # rank of the oldest that is kept
        return History(*kept(self.matrix, self.rank >= first, (self.rank - first).astype(np.int32)))

    def followed(self, later: csr_matrix, rank: Ranks | None) -> "History":
        """These histories with what came after them: binary CSR (B, n_items), and each entry's rank within it."""
        both = (self.matrix + later).tocsr()
        both.sort_indices()
        if self.rank is None or rank is None:
            return History(both, None, self.disliked)
        shift = np.repeat(np.diff(self.matrix.indptr), np.diff(later.indptr))
        # + 1 keeps rank 0 an explicit entry while the two parts are added
        first = csr_matrix((self.rank + 1, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        second = csr_matrix((rank + shift + 1, later.indices, later.indptr), shape=later.shape)
        ranks = (first + second).tocsr()
        ranks.sort_indices()
        return History(both, (ranks.data - 1).astype(np.int32), self.disliked)

    def weighted(self, w_min: float, w_max: float, form: WeightForm = "linear", gamma: float = 1.0) -> csr_matrix:
        """The interactions (B, n_items), weighed by their place in time; UserError where the data have no order.

        `linear` (T-DiffRec, eq. 16): the m-th of M weighs w_min + (m-1)/(M-1) (w_max - w_min); w_min for M = 1.
        `exponential` grows by a constant factor instead: w_min (w_max / w_min)^((m-1)/(M-1)).
        `geometric` knows no M and neither bound: gamma^k, where k interactions came later.
        """
        if gamma == 1 if form == "geometric" else w_min == w_max == 1:
            return self.matrix
        if self.rank is None:
            what = "gamma weighs" if form == "geometric" else "w_min and w_max weigh"
            raise UserError(f"{what} interactions by time, and this dataset has no order in time: {WITH_ORDER}")
        lengths = np.diff(self.matrix.indptr)
        if form == "geometric":
            weights = np.power(gamma, np.repeat(lengths, lengths) - 1 - self.rank)
        else:
            age = self.rank / np.repeat(np.maximum(lengths - 1, 1), lengths)  # 0 the oldest, 1 the newest
            weights = w_min + age * (w_max - w_min) if form == "linear" else w_min ** (1 - age) * w_max**age
        return csr_matrix(
            (weights.astype(np.float32), self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape
        )

    def in_order(self) -> Sequences:
        """Every user's items, oldest first, repeats included. Raises UserError where the data carry no order."""
        if self.events is not None:
            return self.events
        if self.rank is None:
            raise UserError(
                f"this model reads histories in their order, and this dataset has no order in time: {WITH_ORDER}"
            )
        return Sequences.ordered(self.matrix, self.rank)

    def sequences(self, length: int) -> tuple[Ints, Ints]:
        """The newest `length` items of each user (B, length), newest last, padded on the left with n_items, and how
        many there are (B,). Raises UserError where the data carry no order."""
        return self.in_order().padded(length)

    def signed(self, weighted: csr_matrix, dislike_weight: float) -> csr_matrix:
        """`weighted` (B, n_items) with -dislike_weight at every disliked item."""
        if dislike_weight == 0 or self.disliked is None:
            return weighted
        hits, low = weighted.tocoo(), self.disliked.tocoo()
        # a difference of matrices would drop hits of weight 0
        values = np.concatenate([hits.data, np.full(low.nnz, -dislike_weight)]).astype(np.float32)
        places = (np.concatenate([hits.row, low.row]), np.concatenate([hits.col, low.col]))
        signed = csr_matrix((values, places), shape=weighted.shape)
        signed.sort_indices()
        return signed


@dataclass(frozen=True)
class Dataset:
    """Training and validation parts; the test part is locked away (`data.test_set`).

    train, valid: binary CSR float32 (n_users, n_items), indices sorted in each row, no entry in both but where repeats
    are kept.
    train_rank, valid_rank: 0-based time rank of each entry *within its part*, aligned with `.indices`; None where
    the data carry no order. users, items: raw ids by row and column. digest: the hash of the whole prepared
    dataset, the test part included. disliked: binary CSR (n_users, n_items) of the items that users rated too low for
    a hit, before their last training interaction in time; none of a user's items in any part is in it. None where
    every interaction is a hit or ratings are unknown.
    """

    train: csr_matrix
    valid: csr_matrix
    train_rank: Ranks | None
    valid_rank: Ranks | None
    users: NDArray[np.str_]
    items: NDArray[np.str_]
    digest: str
    disliked: csr_matrix | None = None
    hidden: csr_matrix | None = None
    """What users have that is neither trained on nor shown: what `--protocol sparse` took from train, and what lies
    behind it where a search selects across a gap (`data.validations`). Binary CSR (n_users, n_items), no entry in train
    or valid."""
    fold_in: tuple[Sequences, ...] = ()
    """What leads up to validation interactions and, once the test part is open, to those of the test: input that is not
    trained on, the one before validation, the other behind it. Most splits have none."""
    events: tuple[Sequences, Sequences] | None = None
    """Train and valid with every repetition, where such are kept; they may then have items in common."""
    seen: Seen = "masked"
    """Whether what a user has already may be recommended."""
    artefacts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What was learned from these data beforehand, by name (`data.artefacts`)."""

    def with_artefacts(self, artefacts: Mapping[str, NDArray[Any]]) -> Self:
        """The same data with these artefacts beside those that are there."""
        return replace(self, artefacts={**self.artefacts, **artefacts})

    @property
    def n_users(self) -> int:
        return int(self.train.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.train.shape[1])

    @property
    def digest_of_all(self) -> str:
        """The digest of the same data with every part in train (`TestSet.everything`)."""
        return hashlib.sha256(f"{self.digest} all".encode()).hexdigest()

    @property
    def n_trained(self) -> int:
        """Users who are trained on; all, but where users are divided."""
        return int((np.diff(self.train.indptr) > 0).sum()) if self.fold_in else self.n_users

    @property
    def asks_of_others(self) -> bool:
        """Whether validation asks of users who are not trained on."""
        return bool((np.diff(self.train.indptr)[np.diff(self.valid.indptr) > 0] == 0).any()) and bool(self.fold_in)

    @property
    def masked(self) -> csr_matrix:
        """What validation recommends to nobody (n_users, n_items): train, what is hidden, and folded in."""
        return self._excluded(self.train, self.hidden, *map(_entries, self.fold_in))

    @property
    def masked_at_test(self) -> csr_matrix:
        """What the test recommends to nobody (n_users, n_items): train, valid, what is hidden, and folded in."""
        return self._excluded(self.train, self.valid, self.hidden, *map(_entries, self.fold_in))

    def _excluded(self, first: csr_matrix, *others: csr_matrix | None) -> csr_matrix:
        if self.seen == "allowed":
            return _entries(Sequences.none(*first.shape))
        return sum((each for each in others if each is not None), first).tocsr()

    def history(self) -> History:
        """What is trained on: every user's train."""
        if self.events is not None:
            return replace(History.of(self.events[0]), disliked=self.disliked)
        return History(self.train, self.train_rank, self.disliked)

    def known(self, with_valid: bool = False) -> History:
        """The input of every user in an evaluation: train, or (`--history train+valid`) train followed by valid; and
        what is folded in."""
        if self.fold_in or self.events is not None:
            return replace(History.of(joined(self._in_order(with_valid))), disliked=self.disliked)
        return self.history().followed(self.valid, self.valid_rank) if with_valid else self.history()

    def _in_order(self, with_valid: bool) -> Iterable[Sequences]:
        """Train, what leads up to valid, valid, what leads up to the test."""
        assert self.train_rank is not None and self.valid_rank is not None  # nothing is folded in without an order
        ordered = Sequences.ordered(self.train, self.train_rank), Sequences.ordered(self.valid, self.valid_rank)
        train, valid = self.events or ordered
        return [train, *self.fold_in[:1], *([valid] if with_valid else []), *self.fold_in[1:]]


def _entries(sequences: Sequences) -> csr_matrix:
    """Who has what (B, n_items), as often as it is there."""
    rows = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
    ones = np.ones(len(rows), np.float32)
    return csr_matrix(
        (ones, (rows, sequences.items[sequences.places])), shape=(len(sequences.lengths), sequences.n_items)
    )
