"""Splits: exact sizes against a naive reference, order, nothing lost, nothing twice."""

import numpy as np
import pytest
from hypothesis import given as everything
from hypothesis import strategies as st

from unblur.data import splits as splitting
from unblur.data.interactions import TEST, TEST_FOLD_IN, TRAIN, VALID, VALID_FOLD_IN
from unblur.errors import UserError

RATIOS = {"70/20/10": (0.7, 0.2, 0.1), "80/10/10": (0.8, 0.1, 0.1)}
users = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=120)


def by_item(data):
    """The part of each item, by the number that is its id."""
    return dict(zip(data.items[data.frame.item].astype(int).tolist(), data.frame.part.tolist(), strict=True))


def naive(times, ratios):
    """One user's parts by the definition, written as a loop would."""
    n = len(times)
    order = sorted(range(n), key=lambda row: times[row])
    train = min(int(ratios[0] * n) + 1, n)
    test = round((n - train) * ratios[2] / (ratios[1] + ratios[2]))
    parts = [TRAIN] * train + [VALID] * (n - train - test) + [TEST] * test
    return dict(zip(order, parts, strict=True))


@everything(rows=users, ratios=st.sampled_from(sorted(RATIOS)))
def test_per_user_time_is_the_definition(make, rows, ratios):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    part = by_item(splitting.per_user_time(data, ratios))
    for user in {user for user, _ in rows}:
        mine = [row for row, (owner, _) in enumerate(rows) if owner == user]
        expected = naive([rows[row][1] for row in mine], RATIOS[ratios])
        assert [part[row] for row in mine] == [expected[place] for place in range(len(mine))]


@pytest.mark.parametrize(
    ("n", "train", "test"), [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 3, 0), (6, 5, 0), (7, 5, 1), (10, 8, 1), (20, 15, 2)]
)
def test_sizes_of_70_20_10(n, train, test):
    assert [int(size[0]) for size in splitting._sizes(np.array([n]), (0.7, 0.2, 0.1))] == [train, test]


def test_sizes_follow_double_precision_for_every_length():
    n = np.arange(1, 5000)
    train, test = splitting._sizes(n, (0.7, 0.2, 0.1))
    assert train.tolist() == [min(int(0.7 * k) + 1, k) for k in n.tolist()]
    assert test.tolist() == [round((k - t) / 3) for k, t in zip(n.tolist(), train.tolist(), strict=True)]


def test_80_20_takes_validation_from_the_last_tenth_of_train(make):
    data = make([("u", item, 5, item) for item in range(20)])
    part = splitting.per_user_time(data, "80/20").frame.part.tolist()
    assert part == [TRAIN] * 15 + [VALID] * 2 + [TEST] * 3  # train int(16) + 1 = 17, of which round(1.7) = 2


@everything(rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=10, max_size=120))
def test_global_time_never_looks_ahead(make, rows):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    try:
        split = splitting.global_time(data)
    except UserError:
        return  # too few different times
    frame = split.frame
    time, part = frame.timestamp, frame.part
    assert time[part == TRAIN].max() < time[part == VALID].min() <= time[part == VALID].max() < time[part == TEST].min()
    assert set(frame.user) == set(frame.user[part == TRAIN])
    gone = data.frame[~data.frame.index.isin(frame.index)]
    assert not set(gone.user) & set(frame.user)  # only whole users without history leave


def test_global_time_cuts_at_the_shares(make):
    data = make([(item % 2, item, 5, item) for item in range(100)])
    assert np.bincount(splitting.global_time(data).frame.part).tolist() == [70, 20, 10]
    assert np.bincount(splitting.global_time(data, "80/20").frame.part).tolist() == [72, 8, 20]


@everything(rows=users, ratios=st.sampled_from(["70/20/10", "80/10/10", "80/20"]), seed=st.integers(0, 9))
def test_per_user_random_has_the_sizes_of_per_user_time(make, rows, ratios, seed):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    drawn = splitting.per_user_random(data, np.random.default_rng(seed), ratios).frame
    timed = splitting.per_user_time(data, ratios).frame
    assert drawn.drop(columns="part").equals(timed.drop(columns="part"))
    for user in drawn.user.unique():
        sizes = [np.bincount(frame[frame.user == user].part, minlength=3).tolist() for frame in (drawn, timed)]
        assert sizes[0] == sizes[1]
    again = splitting.per_user_random(data, np.random.default_rng(seed), ratios).frame
    assert again.part.tolist() == drawn.part.tolist()


def test_per_user_random_draws_everyone_alike(make):
    """Every place in a user's time is test as often as any other: 1,000 of 10,000 draws, with a deviation of 30."""
    data = make([(user, item, 5, item) for user in range(10_000) for item in range(10)])
    part = splitting.per_user_random(data, np.random.default_rng(0)).frame.part.to_numpy().reshape(-1, 10)
    assert np.abs((part == TEST).sum(0) - 1000).max() < 150


def test_time_is_refused_where_there_is_none(make):
    with pytest.raises(UserError, match=r"has no order in time, which .* use --split per_user_random"):
        splitting.per_user_time(make([("a", "x")]))
    with pytest.raises(UserError, match="too few different times"):
        splitting.global_time(make([("a", item, 5, 1) for item in range(9)]))


def test_given_keeps_the_parts(make):
    data = make([("a", 1), ("a", 2), ("a", 3)], part=[TRAIN, VALID, TEST])
    assert splitting.given(data, np.random.default_rng(0)).frame.part.tolist() == [TRAIN, VALID, TEST]


@everything(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8), seed=st.integers(0, 9))
def test_given_without_validation_draws_a_tenth_of_train(make, sizes, seed):
    rows = [(user, item) for user, size in enumerate(sizes) for item in range(size)]
    parts = [TEST if item == 0 else TRAIN for _, item in rows]
    data = make(rows, part=parts)
    frame = splitting.given(data, np.random.default_rng(seed)).frame
    for user, size in enumerate(sizes):
        mine = frame[frame.user == user].part
        assert (mine == TEST).sum() == 1
        assert (mine == VALID).sum() == round((size - 1) / 10)
    again = splitting.given(data, np.random.default_rng(seed)).frame
    assert again.part.tolist() == frame.part.tolist()


@everything(
    rows=users, times=st.integers(1, 30), split=st.sampled_from([splitting.per_user_time, splitting.leave_one_out])
)
def test_users_whom_time_does_not_divide_are_counted(make, rows, times, split):
    data = make([(user, item, 5, time % times) for item, (user, time) in enumerate(rows)])
    try:
        divided = split(data)
    except UserError:
        return
    parts = divided.frame.groupby(["user", "timestamp"]).part.nunique()
    undecided = parts[parts > 1].index.get_level_values("user").nunique()
    told = [note for note in divided.notes if note.startswith("equal times")]
    assert len(told) == (undecided > 0)
    if told:
        assert f"{undecided:,} of {divided.frame.user.nunique():,} users" in told[0] and "order of the file" in told[0]


@everything(rows=users)
def test_leave_one_out_is_the_definition(make, rows):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    mine = {user: [row for row, (owner, _) in enumerate(rows) if owner == user] for user, _ in rows}
    expected = {}
    for own in mine.values():
        *first, valid, test = sorted(own, key=lambda row: rows[row][1]) if len(own) >= 3 else (None, None)
        expected |= {**dict.fromkeys(first, TRAIN), valid: VALID, test: TEST} if first else {}
    if not expected:
        with pytest.raises(UserError, match="nobody has the 3 interactions"):
            splitting.leave_one_out(data)
        return
    split = splitting.leave_one_out(data)
    assert by_item(split) == expected
    few = [len(own) for own in mine.values() if len(own) < 3]
    assert f"removed {len(few)} users, {sum(few)} items, {sum(few)} rows" in next(
        note for note in split.notes if "fewer than 3" in note
    )


def test_leave_one_out_needs_an_order(make):
    with pytest.raises(UserError, match="no order in time, which --split leave_one_out needs; use --split per_user_r"):
        splitting.leave_one_out(make([("a", "x"), ("a", "y"), ("a", "z")]))


@everything(rows=users, ratios=st.sampled_from(["80/10/10", "40/30/30", "80/20"]), seed=st.integers(0, 9))
def test_by_user_divides_users_and_holds_the_last_of_some_out(make, rows, ratios, seed):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    mine = {user: [row for row, (owner, _) in enumerate(rows) if owner == user] for user, _ in rows}
    several = {user: sorted(own, key=lambda row: rows[row][1]) for user, own in mine.items() if len(own) >= 2}
    try:
        split = splitting.by_user(data, np.random.default_rng(seed), ratios)
    except UserError:
        assert len(several) < 10
        return
    part = by_item(split)
    assert part.keys() == {row for own in several.values() for row in own}
    kinds = {(TRAIN, TRAIN): 0, (VALID_FOLD_IN, VALID): 1, (TEST_FOLD_IN, TEST): 2}
    groups = []
    for *before, last in several.values():
        assert len({part[row] for row in before}) == 1
        groups.append(kinds[part[before[0]], part[last]])
    first, valid, _ = splitting.shares(ratios)
    ends = [int(share * len(several) + 1e-9) for share in ([first, first + valid] if valid else [0.9 * first, first])]
    assert np.bincount(groups, minlength=3).tolist() == np.diff([0, *ends, len(several)]).tolist()
    assert splitting.by_user(data, np.random.default_rng(seed), ratios).frame.equals(split.frame)


def test_by_user_has_the_sizes_of_preferdiff(make):
    """Of 22,363 users of Beauty 17,890, 2,236 and 2,237."""
    data = make([(user, item, 5, item) for user in range(22_363) for item in range(2)])
    parts = splitting.by_user(data, np.random.default_rng(0)).frame.part.to_numpy()
    assert np.bincount(parts).tolist() == [2 * 17_890, 2_236, 2_237, 0, 2_236, 2_237]


def test_by_user_needs_users_for_each_part(make):
    with pytest.raises(UserError, match="80/10/10 leaves nobody for a part of 3 users"):
        splitting.by_user(
            make([(user, item, 5, item) for user in range(3) for item in range(2)]), np.random.default_rng(0)
        )


@everything(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=10, max_size=120),
    targets=st.sampled_from(["first", "last"]),
)
def test_global_time_may_hold_one_of_each_user_out(make, rows, targets):
    data = make([(user, item, 5, time) for item, (user, time) in enumerate(rows)])
    try:
        plain, one = splitting.global_time(data), splitting.global_time(data, targets=targets)
    except UserError:
        return  # too few different times
    part, wanted = by_item(one), {}
    for user in {user for user, _ in rows}:
        all_of = {
            p: [r for r, q in by_item(plain).items() if q == p and rows[r][0] == user] for p in (TRAIN, VALID, TEST)
        }
        train, valid, test = (sorted(own, key=lambda row: rows[row][1]) for own in all_of.values())
        wanted |= dict.fromkeys(train, TRAIN)
        if targets == "first":
            wanted |= {**dict.fromkeys(valid[1:], TEST_FOLD_IN), **dict.fromkeys(valid[:1], VALID)}
            wanted |= dict.fromkeys(test[:1], TEST)
        else:
            wanted |= {**dict.fromkeys(valid[:-1], VALID_FOLD_IN), **dict.fromkeys(valid[-1:], VALID)}
            wanted |= {**dict.fromkeys(test[:-1], TEST_FOLD_IN), **dict.fromkeys(test[-1:], TEST)}
    assert part == wanted
