"""Examples of recommendations: whose they are follows from nothing that was recommended, and nobody is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.helpers.synthetic import communities

from unblur.data.dataset import Dataset
from unblur.experiments.examples import PLACES, SHOWN, examples, titled

RNG = np.random.default_rng(0)


@pytest.fixture
def data() -> Dataset:
    split = communities()
    return replace(
        split,
        users=np.array([f"secret{user}" for user in range(split.n_users)]),
        items=np.array([f"item{item}" for item in range(split.n_items)]),
    )


def recommended(data: Dataset, users: np.ndarray) -> np.ndarray:
    return np.stack([RNG.permutation(data.n_items)[:10] for _ in users])


def test_the_users_are_chosen_by_the_lengths_of_their_histories_alone(data: Dataset) -> None:
    users, known = np.arange(10, data.n_users), data.known()
    one, other = (examples(data, known, users, recommended(data, users)) for _ in range(2))
    assert [each["had"] for each in one] == [each["had"] for each in other]
    assert [each["gets"] for each in one] != [each["gets"] for each in other]
    lengths = np.sort(np.diff(known.matrix.indptr)[users])
    assert [each["interactions"] for each in one] == [lengths[int(share * len(users))] for share in PLACES]
    assert "secret" not in json.dumps(one)


def test_each_has_the_newest_items_first_and_the_best_first(data: Dataset) -> None:
    users = np.arange(data.n_users)
    ranks = np.full((len(users), 10), -1)
    ranks[:, :3] = [4, 2, 9]
    for with_valid in (False, True):
        known = data.known(with_valid)
        newest, counts = known.sequences(SHOWN)
        wanted = {tuple(f"item{item}" for item in row[::-1][:count]) for row, count in zip(newest, counts, strict=True)}
        for each in examples(data, known, users, ranks):
            assert each["ordered"] and tuple(each["had"]) in wanted
            assert each["gets"] == ["item4", "item2", "item9"]


def test_without_an_order_nothing_is_called_the_newest(data: Dataset) -> None:
    unordered = replace(data, train_rank=None, valid_rank=None)
    for each in examples(unordered, unordered.known(), np.arange(4), np.zeros((4, 10), dtype=int)):
        assert not each["ordered"] and 0 < len(each["had"]) <= SHOWN


def test_of_a_single_user_there_is_one_example(data: Dataset) -> None:
    assert len(examples(data, data.known(), np.array([3]), np.zeros((1, 10), dtype=int))) == 1


def test_titles_stand_for_the_items_that_have_one() -> None:
    found = [{"interactions": 2, "ordered": True, "had": ["a", "b"], "gets": ["c"]}]
    assert titled(found, {"a": "Alien", "c": "Casablanca"}) == [
        {"interactions": 2, "ordered": True, "had": ["Alien", "b"], "gets": ["Casablanca"]}
    ]
