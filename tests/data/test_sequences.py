"""Sequences: a history in its order, against a loop over users."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset, History
from unblur.data.sequences import Sequences
from unblur.errors import UserError

N_ITEMS = 7
row = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS)
rows = st.lists(row, min_size=1, max_size=8)


def part(rows: list[list[int]]) -> tuple[csr_matrix, np.ndarray]:
    """The rows, which list items oldest first, as CSR with sorted indices and the rank of each entry."""
    order = [sorted((item, rank) for rank, item in enumerate(items)) for items in rows]
    indptr = np.cumsum([0, *map(len, rows)])
    items, ranks = (np.array([pair[i] for pairs in order for pair in pairs], dtype=np.int32) for i in (0, 1))
    return csr_matrix((np.ones(len(items), np.float32), items, indptr), shape=(len(rows), N_ITEMS)), ranks


def loop(rows: list[list[int]], length: int) -> list[list[int]]:
    return [[N_ITEMS] * (length - len(items)) + items[max(len(items) - length, 0) :] for items in rows]


@given(rows=rows, length=st.integers(1, 9))
def test_padded_sequences_are_the_definition(rows: list[list[int]], length: int) -> None:
    windows, lengths = History(*part(rows)).sequences(length)
    assert windows.dtype == np.int64 and windows.tolist() == loop(rows, length)
    assert lengths.tolist() == [min(len(items), length) for items in rows]


@given(rows=rows, data=st.data())
def test_the_rows_of_a_history_keep_their_order(rows: list[list[int]], data: st.DataObject) -> None:
    users = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=np.int64)
    ragged = History(*part(rows)).rows(users).in_order()
    bounds = zip(ragged.starts, ragged.ends, strict=True)
    assert [ragged.items[start:end].tolist() for start, end in bounds] == [rows[user] for user in users]


@given(rows=rows, count=st.integers(0, 9))
def test_the_newest_of_a_history_are_its_end(rows: list[list[int]], count: int) -> None:
    """Also where an item comes twice: what is kept is counted in interactions."""
    ends = [items[max(len(items) - count, 0) :] for items in rows]
    found = History(*part(rows)).newest(count)
    assert ragged(found) == ends and (found.matrix != part(ends)[0]).nnz == 0
    twice = [items + items[:1] for items in rows]
    flat = np.array([item for items in twice for item in items], np.int64)
    events = Sequences.ragged(flat, np.cumsum([0, *map(len, twice)]), N_ITEMS)
    assert ragged(History.of(events).newest(count)) == [items[max(len(items) - count, 0) :] for items in twice]


def ragged(history: History) -> list[list[int]]:
    found = history.in_order()
    return [found.items[start:end].tolist() for start, end in zip(found.starts, found.ends, strict=True)]


@given(rows=rows, data=st.data())
def test_validation_comes_after_train(rows: list[list[int]], data: st.DataObject) -> None:
    cuts = [data.draw(st.integers(0, len(items))) for items in rows]
    train = [items[:cut] for items, cut in zip(rows, cuts, strict=True)]
    valid = [items[cut:] for items, cut in zip(rows, cuts, strict=True)]
    (train_matrix, train_rank), (valid_matrix, valid_rank) = part(train), part(valid)
    ids = np.arange(len(rows)).astype(str)
    dataset = Dataset(train_matrix, valid_matrix, train_rank, valid_rank, ids, np.arange(N_ITEMS).astype(str), "")
    assert dataset.known(with_valid=True).sequences(N_ITEMS)[0].tolist() == loop(rows, N_ITEMS)
    assert dataset.history().sequences(N_ITEMS)[0].tolist() == loop(train, N_ITEMS)


@given(rows=rows, data=st.data())
def test_windows_lie_where_they_are_asked_for(rows: list[list[int]], data: st.DataObject) -> None:
    ragged = History(*part(rows)).in_order()
    spans = data.draw(st.lists(st.tuples(*[st.integers(0, len(ragged.items))] * 2).map(sorted), min_size=1))
    starts, ends = np.array(spans, dtype=np.int64).T
    windows, lengths = ragged.stretches(starts, ends).padded(3)
    assert windows.tolist() == loop([ragged.items[start:end].tolist() for start, end in spans], 3)
    assert lengths.tolist() == [min(end - start, 3) for start, end in spans]


@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8), length=st.integers(1, 5))
def test_in_windows_every_item_but_a_users_first_follows_another_once(lengths: list[int], length: int) -> None:
    """Items are numbered through, so that a window within one user is a run of numbers."""
    indptr = np.cumsum([0, *lengths])
    windows, users = Sequences.ragged(np.arange(indptr[-1]), indptr, int(indptr[-1])).windows(length)
    assert (windows.starts >= indptr[users]).all() and (windows.ends <= indptr[users + 1]).all()
    runs = [list(range(start, end)) for start, end in zip(windows.starts, windows.ends, strict=True)]
    assert all(2 <= len(run) <= length + 1 for run in runs)
    behind = [item for run in runs for item in run[1:]]
    first = {begin for begin, n in zip(indptr[:-1].tolist(), lengths, strict=True) if n}
    assert sorted(behind) == sorted(set(range(indptr[-1])) - first)
    assert sum(len(run) <= length for run in runs) <= sum(n > 0 for n in lengths), "only a user's oldest is shorter"


def test_repeats_stay_where_they_are() -> None:
    ragged = Sequences.ragged(np.array([4, 2, 4, 4]), np.array([0, 3, 4]), N_ITEMS)
    assert ragged.padded(4)[0].tolist() == [[7, 4, 2, 4], [7, 7, 7, 4]]
    assert ragged.lengths.tolist() == [3, 1]


@given(rows=rows, data=st.data())
def test_events_with_repeats_are_what_is_read(rows: list[list[int]], data: st.DataObject) -> None:
    events = [[*items, *items[:1]] for items in rows]
    ragged = Sequences.ragged(
        np.array([item for items in events for item in items], dtype=np.int64),
        np.cumsum([0, *map(len, events)]),
        N_ITEMS,
    )
    users = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=np.int64)
    history = replace(History(*part(rows)), events=ragged).rows(users)
    assert history.sequences(9)[0].tolist() == loop([events[user] for user in users], 9)


@given(events=st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=9), min_size=1, max_size=6))
def test_a_history_of_events_has_every_item_where_it_came_first(events: list[list[int]]) -> None:
    flat = np.array([item for items in events for item in items], dtype=np.int64)
    history = History.of(Sequences.ragged(flat, np.cumsum([0, *map(len, events)]), N_ITEMS))
    matrix, rank = part([list(dict.fromkeys(items)) for items in events])
    assert (history.matrix != matrix).nnz == 0 and history.matrix.has_canonical_format
    assert history.rank is not None and history.rank.tolist() == rank.tolist()
    assert history.sequences(12)[0].tolist() == loop(events, 12)


def test_data_without_order_are_refused() -> None:
    with pytest.raises(UserError, match="no order in time"):
        History(part([[1, 0]])[0], None).sequences(3)
