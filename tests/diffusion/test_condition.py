"""Conditions: what is hidden of a history was never there, in weighted rows as in ordered items."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.diffusion.condition import Condition, EveryPlace, OrderedItems, WeightedRows
from unblur.diffusion.guidance import drop_histories
from unblur.pairings.partial import drop_items

N = 9
HISTORIES = st.lists(st.lists(st.integers(0, N - 1), max_size=6, unique=True), min_size=1, max_size=5)


def ordered(histories: list[list[int]], length: int = 6) -> OrderedItems:
    return OrderedItems(torch.tensor([[N] * (length - len(each)) + each for each in histories]), N)


def weighted(histories: list[list[int]]) -> WeightedRows:
    dense = torch.zeros(len(histories), N)
    for row, items in zip(dense, histories, strict=True):
        row[items] = torch.arange(1, len(items) + 1).float()
    return WeightedRows(dense.to_sparse_csr())


def binary(condition: Condition) -> torch.Tensor:
    return (condition.rows.to_dense() > 0).float()


@given(histories=HISTORIES, draws=st.randoms())
def test_single_items_that_are_hidden_leave_no_gap(histories: list[list[int]], draws: object) -> None:
    hidden = [item for item in range(N) if draws.random() < 0.4]
    left = [[item for item in each if item not in hidden] for each in histories]
    condition = ordered(histories)
    places = ~torch.isin(condition.places, torch.tensor(hidden, dtype=torch.int64))
    assert condition.keep_items(places).tensor.equal(ordered(left).tensor)


@given(histories=HISTORIES, draws=st.randoms())
def test_histories_that_are_hidden_are_empty(histories: list[list[int]], draws: object) -> None:
    kept = torch.tensor([draws.random() < 0.5 for _ in histories])
    left = [each if keep else [] for each, keep in zip(histories, kept, strict=True)]
    assert ordered(histories).keep(kept).tensor.equal(ordered(left).tensor)
    assert weighted(histories).keep(kept).rows.to_dense().equal(weighted(left).rows.to_dense())
    for condition in (ordered(histories), weighted(histories)):
        assert condition.keep(kept).empty.tolist() == [not each for each in left]
        assert condition.nobody().empty.all() and len(condition.nobody().empty) == len(histories)


@given(histories=HISTORIES)
def test_the_rows_of_ordered_items_are_those_items(histories: list[list[int]]) -> None:
    assert ordered(histories).rows.to_dense().equal(binary(weighted(histories)))


@given(histories=HISTORIES, draws=st.randoms())
def test_at_every_place_there_is_what_lies_up_to_it(histories: list[list[int]], draws: object) -> None:
    prefixes = [each[: k + 1] for each in histories for k in range(len(each))]
    condition = EveryPlace.of(ordered(histories).tensor, N)
    assert condition.tensor.equal(ordered(prefixes).tensor if prefixes else torch.empty(0, 6, dtype=torch.int64))
    assert condition.asked.sum(1).tolist() == [len(each) for each in histories] and not condition.empty.any()
    kept = torch.tensor([draws.random() < 0.5 for _ in prefixes], dtype=torch.bool)
    hidden = condition.keep(kept)
    assert isinstance(hidden, EveryPlace) and hidden.empty.equal(~kept)
    assert hidden.histories.equal(condition.histories), "the other places still see them"


@pytest.mark.parametrize("make", [ordered, weighted])
def test_both_kinds_are_dropped_with_the_same_shares(make: object) -> None:
    torch.manual_seed(0)
    condition = make([[1, 4, 2, 8]] * 3_000)
    rows, items = (binary(drop(condition, 0.3)).sum(1) for drop in (drop_histories, drop_items))
    assert set(rows.tolist()) == {0.0, 4.0} and abs(rows.mean() / 4 - 0.7) < 0.03
    assert abs(items.mean() / 4 - 0.7) < 0.02 and len(set(items.tolist())) == 5
    assert drop_histories(condition, 0) is drop_items(condition, 0) is condition
