"""What a search selects by: validation as it is given, cut from the end of train, or told across a gap."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.helpers.synthetic import communities
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.data.validations import gap, given, last
from unblur.errors import UserError
from unblur.evaluation.protocol import VALIDATIONS
from unblur.evaluation.ranking import Users, evaluate, validate

ITEMS = 40
TRAIN = [[5, 1, 3, 0], [7], [4, 9, 2], [8, 6], []]
"""Of five users, oldest first."""
VALID = [[2, 4], [1], [], [0, 1, 2, 3], [3]]


def part(sequences: list[list[int]]) -> tuple[csr_matrix, np.ndarray]:
    """Items in their order as a matrix and ranks."""
    owners = [user for user, items in enumerate(sequences) for _ in items]
    columns = [item for items in sequences for item in items]
    places = [place + 1 for items in sequences for place in range(len(items))]
    ranks = csr_matrix((places, (owners, columns)), shape=(len(sequences), ITEMS))
    ranks.sort_indices()
    ones = np.ones(ranks.nnz, dtype=np.float32)
    return csr_matrix((ones, ranks.indices, ranks.indptr), shape=ranks.shape), (ranks.data - 1).astype(np.int32)


def made(train: list[list[int]], valid: list[list[int]]) -> Dataset:
    (first, first_rank), (second, second_rank) = part(train), part(valid)
    users, items = np.arange(len(train)).astype(str), np.arange(ITEMS).astype(str)
    return Dataset(first, second, first_rank, second_rank, users, items, digest="by hand")


def in_order(matrix: csr_matrix, rank: np.ndarray | None) -> list[list[int]]:
    sequences = History(matrix, rank).in_order()
    starts, ends = sequences.starts, sequences.ends
    return [sequences.items[start:end].tolist() for start, end in zip(starts, ends, strict=True)]


BY_HAND = made(TRAIN, VALID)


def test_given_is_what_is_there() -> None:
    assert given(BY_HAND) is BY_HAND
    assert VALIDATIONS.names() == ["gap", "given", "last"]


def test_last_asks_for_the_end_of_train_and_leaves_everybody_a_history() -> None:
    found = last(BY_HAND)
    assert in_order(found.train, found.train_rank) == [[5, 1], [7], [4, 9], [8], []]
    assert in_order(found.valid, found.valid_rank) == [[3, 0], [], [2], [6], []]
    assert found.hidden is None


def test_gap_asks_for_validation_and_hides_as_much_before_it() -> None:
    found = gap(BY_HAND)
    assert in_order(found.train, found.train_rank) == [[5, 1], [7], [4, 9, 2], [8], []]
    assert found.hidden is not None
    assert [row.indices.tolist() for row in found.hidden] == [[0, 3], [], [], [6], []]
    assert (found.masked != BY_HAND.train).nnz == 0, "what may not be recommended is as it was"
    assert in_order(found.valid, found.valid_rank) == VALID


@pytest.mark.parametrize("name", ["last", "gap"])
def test_nothing_is_lost_and_what_is_learned_from_it_is_kept_apart(name: str) -> None:
    before = communities()
    found: Dataset = VALIDATIONS.get(name)(before)
    behind = found.hidden if found.hidden is not None else found.valid
    assert (found.train + behind != before.train).nnz == 0 and found.train.multiply(behind).nnz == 0
    assert len({found.digest, before.digest, last(before).digest, gap(before).digest}) == 3
    longer = in_order(before.train, before.train_rank)
    shorter = in_order(found.train, found.train_rank)
    assert all(items == whole[:3] for items, whole in zip(shorter, longer, strict=True))


@pytest.mark.parametrize("name", ["last", "gap"])
def test_data_without_an_order_are_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(UserError, match=rf"--validation {name} needs .*no order in time: leave it out"):
        VALIDATIONS.get(name)(replace(BY_HAND, train_rank=None))


class Ahead:
    """Users go through the items in their order; this recommends what comes so many steps after the newest."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def score(self, history: History, users: Users) -> Tensor:
        newest = torch.tensor([items[-1] for items in in_order(history.matrix, history.rank)])
        scores = torch.zeros(len(users), ITEMS)
        scores[torch.arange(len(users)), (newest + self.steps) % ITEMS] = 1
        return scores


def walk(begin: int, first: int, end: int) -> list[int]:
    return [(begin + step) % ITEMS for step in range(first, end)]


WALKS = made([walk(user, 0, 10) for user in range(ITEMS)], [walk(user, 10, 13) for user in range(ITEMS)])
"""Ten steps in train, three in validation, and the test is the fourteenth."""
AHEAD_OF_TEST = 4


@pytest.mark.parametrize(
    ("name", "history", "test", "chosen"),
    [
        ("given", "train", 13, 1),
        ("last", "train", 13, 1),
        ("gap", "train", 13, AHEAD_OF_TEST),
        ("given", "train+valid", 13, 1),
        ("last", "train", 10, 1),
    ],
)
def test_who_selects_by_the_distance_of_the_test_finds_what_is_best_there(
    name: str, history: str, test: int, chosen: int
) -> None:
    """By the first recommendation alone; `test`: the step that is asked for at the test."""
    selection = VALIDATIONS.get(name)(WALKS)
    first = {steps: validate(Ahead(steps), selection).metrics()["precision_at_1"] for steps in (1, AHEAD_OF_TEST)}
    assert max(first, key=lambda steps: first[steps]) == chosen
    asked, _ = part([walk(user, test, test + 1) for user in range(ITEMS)])
    seen = (WALKS.train + WALKS.valid).tocsr() if test == 13 else WALKS.train
    right = {
        steps: evaluate(Ahead(steps), WALKS, asked, seen, with_valid_history=history != "train").metrics()
        for steps in (1, AHEAD_OF_TEST)
    }
    best = max(right, key=lambda steps: right[steps]["precision_at_1"])
    assert (best == chosen) == ((name, history, test) not in {("given", "train", 13), ("last", "train", 13)})


def test_what_is_hidden_is_recommended_to_nobody_and_the_given_part_may_be() -> None:
    across, end = gap(WALKS), last(WALKS)
    assert across.hidden is not None
    hidden = validate(Ahead(1), across)  # the very next item is hidden
    assert not any(set(items) & set(row.indices) for items, row in zip(hidden.items, across.hidden, strict=True))
    beyond = validate(Ahead(4), end)  # the first of the given part
    assert all(items[0] in row.indices for items, row in zip(beyond.items, WALKS.valid, strict=True))
