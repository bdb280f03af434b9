"""What leads up to an interaction that is held out: input of an evaluation, trained on by nobody."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur import models
from unblur.data import splits, store
from unblur.data.dataset import Dataset
from unblur.data.interactions import Interactions
from unblur.data.request import Repeats, Seen
from unblur.data.test_set import TestSet
from unblur.data.validations import gap, last
from unblur.errors import UserError
from unblur.evaluation.ranking import final, validate
from unblur.models.needs import refuse_unserved

Divide = Callable[[Interactions], Interactions]
Make = Callable[..., Interactions]
ONE_TARGET: dict[str, Divide] = {
    "leave_one_out": splits.leave_one_out,
    "by_user": lambda data: splits.by_user(data, np.random.default_rng(1), "40/30/30"),
    "first": partial(splits.global_time, targets="first"),
    "last": partial(splits.global_time, targets="last"),
}
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=30, max_size=90)
"""Users and items in order of time."""


def prepared(
    make: Make,
    rows: list[tuple[int, int]],
    divide: Divide,
    folder: Path,
    repeats: Repeats = "first",
    seen: Seen = "masked",
) -> tuple[Dataset, TestSet]:
    """What a search is given, and what a test is; UserError where the split cannot be made."""
    data = divide(make([(user, item, 5, time) for time, (user, item) in enumerate(rows)], repeats=repeats)).compact()
    dataset = store.load_dataset(store.folder_of(folder, store.write(data, folder, seen)))
    return dataset, TestSet.open("a test", folder, dataset, "train+valid")


def sequences(dataset: Dataset, with_valid: bool) -> list[list[int]]:
    """Raw items of every user, as evaluations are given them."""
    known = dataset.known(with_valid).in_order()
    return [dataset.items[known.items[a:b]].astype(int).tolist() for a, b in zip(known.starts, known.ends, strict=True)]


@pytest.mark.parametrize("repeats", ["first", "keep"])
@pytest.mark.parametrize("name", ONE_TARGET)
@given(rows=ROWS)
def test_a_single_target_is_asked_for_from_all_that_came_before_it(
    name: str,
    repeats: Repeats,
    rows: list[tuple[int, int]],
    make: Make,
    tmp_path_factory: object,
) -> None:
    try:
        searched, test = prepared(make, rows, ONE_TARGET[name], tmp_path_factory.mktemp("data"), repeats)
    except UserError:
        return  # too few users
    history: dict[str, list[int]] = defaultdict(list)
    for user, item in rows:
        if repeats == "keep" or item not in history[str(user)]:
            history[str(user)].append(item)
    for data, truth, with_valid in ((searched, searched.valid, False), (test.dataset, test.test, True)):
        for user in np.flatnonzero(np.diff(truth.indptr)):
            (target,) = data.items[truth[user].indices].astype(int)
            all_of, given = history[data.users[user]], sequences(data, with_valid)[user]
            assert all_of[: len(given) + 1] == [*given, target], (name, with_valid)
            known = data.known(with_valid).rows(np.array([user]))
            assert set(known.matrix.indices) == set(known.in_order().items[known.in_order().places])


@given(rows=ROWS)
def test_of_users_that_are_tested_nothing_is_trained_on_and_nothing_lies_with_the_search(
    rows: list[tuple[int, int]], make: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        searched, test = prepared(make, rows, ONE_TARGET["by_user"], tmp_path_factory.mktemp("data"))
    except UserError:
        return
    asked, validated = (np.flatnonzero(np.diff(each.indptr)) for each in (test.test, searched.valid))
    trained = searched.history().in_order().lengths
    assert not trained[asked].any() and not trained[validated].any() and trained.any()
    assert not searched.known(True).in_order().lengths[asked].any(), "the test's input lies with the test part"
    assert searched.asks_of_others and (searched.n_trained == (trained > 0).sum())


def walks(n_users: int = 300) -> list[tuple[int, int]]:
    """Everybody goes through 30 items in their order from somewhere; the last step is one back."""
    return [(user, (user + step if step < 5 else user + 3) % 30) for step in range(6) for user in range(n_users)]


def test_evaluations_of_users_who_are_not_trained_on(make: Make, tmp_path: Path) -> None:
    searched, test = prepared(make, walks(), ONE_TARGET["by_user"], tmp_path, "keep", "allowed")
    model = models.model_class("markov_chain")(models.configure("markov_chain", {}, "test"), searched.n_users, 30)
    model.fit(searched)
    assert validate(model, searched).users.tolist() == np.flatnonzero(np.diff(searched.valid.indptr)).tolist()
    found = final(model, test.dataset, test.test, test.history)
    assert found.metrics()["recall_at_5"] > 0.7, "what was seen before may be recommended again"
    masked, test = prepared(make, walks(), ONE_TARGET["by_user"], tmp_path, "keep", "masked")
    assert masked.digest != searched.digest
    assert final(model, test.dataset, test.test, test.history).metrics()["recall_at_20"] == 0


def test_who_knows_trained_users_alone_is_refused(make: Make, tmp_path: Path) -> None:
    dataset, _ = prepared(make, walks(), ONE_TARGET["by_user"], tmp_path)
    with pytest.raises(UserError, match="bpr_mf can only score users that it was trained on"):
        refuse_unserved(models.config_class("bpr_mf"), dataset)
    refuse_unserved(models.config_class("sasrec"), dataset)


def test_selections_do_not_look_ahead(make: Make, tmp_path: Path) -> None:
    dataset, _ = prepared(make, [(user, step) for step in range(20) for user in range(6)], ONE_TARGET["last"], tmp_path)
    assert dataset.fold_in and not last(dataset).fold_in, "what leads up to the given validation is later"
    with pytest.raises(UserError, match="gap hides what lies before validation"):
        gap(dataset)
    kept, _ = prepared(make, walks(), splits.leave_one_out, tmp_path, "keep")
    for cut in (gap, last):
        with pytest.raises(UserError, match="cuts histories without repetitions"):
            cut(kept)
