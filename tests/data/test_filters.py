"""Filters: fixed points, order of passes, and that they report what they removed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.data.filters import KCore, MinCounts, MinRating, apply
from unblur.errors import UserError

pairs = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=120)


def naive_core(rows, k):
    """The definition, one removal at a time."""
    rows = set(rows)
    while True:
        users = {user for user, _ in rows if sum(other == user for other, _ in rows) < k}
        items = {item for _, item in rows if sum(other == item for _, other in rows) < k}
        left = {(user, item) for user, item in rows if user not in users and item not in items}
        if left == rows:
            return rows
        rows = left


@given(rows=pairs, k=st.integers(1, 5))
def test_k_core_is_the_largest_fixed_point(make, rows, k):
    data = make(sorted(rows))
    kept = data.select(KCore(k).keep(data))
    found = {(int(data.users[user]), int(data.items[item])) for user, item in kept.frame[["user", "item"]].to_numpy()}
    assert found == naive_core(rows, k)
    assert KCore(k).keep(kept).all()


def test_min_counts_is_one_pass_of_each(make):
    # user c has one row; without it item x has two rows, and that user a is then left with one row does not matter
    data = make([("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("c", "z")])
    kept = data.select(MinCounts(users=2, items=2).keep(data))
    assert kept.frame[["user", "item"]].to_numpy().tolist() == [[0, 0], [1, 0]]


def test_min_rating_removes_low_and_unknown_ratings(make):
    data = make([("a", "x", 4.0), ("a", "y", 3.5), ("a", "z", None), ("b", "x", 5.0)])
    assert MinRating(4).keep(data).tolist() == [True, False, False, True]


def test_min_rating_without_ratings_is_refused(make):
    with pytest.raises(UserError, match="--min-rating"):
        apply(make([("a", "x")]), [MinRating(4)])


def test_each_filter_reports_what_it_removed(make):
    data = make([("a", "x", 5), ("a", "y", 5), ("b", "x", 1), ("b", "y", 5), ("c", "z", 1)])
    notes = apply(data, [MinRating(4), MinCounts(2, 1)]).notes
    assert notes == (
        "rating >= 4: removed 1 users, 1 items, 2 rows",
        "users with >= 2, then items with >= 1: removed 1 users, 0 items, 1 rows",
    )


def test_filters_that_leave_no_user_say_which(make):
    with pytest.raises(UserError, match=r"rows: the filters .* leave no user .* before 'iterated 3-core'"):
        apply(make([("a", "x", 5), ("b", "y", 5)]), [MinRating(4), KCore(3)])


def test_compact_keeps_raw_ids_and_order(make):
    data = make([("a", "x"), ("b", "y"), ("c", "z")])
    small = data.select(np.array([True, False, True])).compact()
    assert small.users.tolist() == ["a", "c"]
    assert small.items.tolist() == ["x", "z"]
    assert small.frame[["user", "item"]].to_numpy().tolist() == [[0, 0], [1, 1]]
