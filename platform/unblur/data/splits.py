"""Splits into train, validation and test: one public function each, found by its name (`--split`).

A split is given the interactions `data` and, if it has parameters for them, `ratios` (shares such as 70/20/10), which
of a user's held-out interactions are `targets`, and a random generator `rng`; it answers the interactions with their
parts. It raises UserError where the data lack what it needs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from unblur.data.filters import removed
from unblur.data.interactions import TEST, TEST_FOLD_IN, TRAIN, VALID, VALID_FOLD_IN, Interactions
from unblur.data.order import positions, time_order
from unblur.data.request import Ratios, Targets, shares
from unblur.errors import UserError

Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Interactions])
DEFAULT = "70/20/10"
LEFT_OUT = -1


def _of_the_last(function: F) -> F:
    """Mark a split that holds each user's last interaction out."""
    function.targets = "last"  # type: ignore[attr-defined]
    return function


def _folds_in(function: F) -> F:
    """Mark a split that gives a model input which is not trained on, whatever it is asked."""
    function.folds_in = True  # type: ignore[attr-defined]
    return function


def per_user_time(data: Interactions, ratios: str = DEFAULT) -> Interactions:
    """Each user's first interactions are train, the last test.

    Of n, train is the first int(r_train n) + 1 (at most n) and test the last round((n - train) r_test / (r_valid +
    r_test)). With r_valid = 0 validation is the last tenth of train, rounded. Raises UserError without order in time.
    """
    _need(data, data.has_order, "per_user_time", f"no order in time{_why(data)}")
    split = _per_user(data, time_order(data.frame), f"per_user_time {ratios}", shares(ratios))
    return _with_undecided(split)


def per_user_random(data: Interactions, rng: np.random.Generator, ratios: str = DEFAULT) -> Interactions:
    """As many of each user's interactions in each part as `per_user_time` has there, drawn at random."""
    order = np.lexsort((rng.random(len(data.frame)), data.frame.user.to_numpy()))
    return _per_user(data, order, f"per_user_random {ratios}", shares(ratios))


def _per_user(data: Interactions, order: Ints, name: str, ratios: Ratios) -> Interactions:
    """Rows sorted by user in `order`: the first of each user's are train, the last test."""
    user = data.frame.user.to_numpy()
    total = np.bincount(user)
    train, test = _sizes(total, ratios)
    position = positions(user[order])
    part = np.empty(len(user), dtype=np.int8)
    total, train, test = total[user[order]], train[user[order]], test[user[order]]
    part[order] = np.select([position < train, position < total - test], [TRAIN, VALID], TEST)
    return _with_parts(data, part, name)


def _sizes(total: Ints, ratios: Ratios) -> tuple[Ints, Ints]:
    """Train and test sizes of users with `total` interactions (n_users,)."""
    train = np.minimum((ratios[0] * total).astype(np.int64) + 1, total)
    test = np.rint((total - train) * ratios[2] / (ratios[1] + ratios[2])).astype(np.int64)
    if ratios[1] == 0:
        train -= np.rint(train / 10).astype(np.int64)
    return train, test


def global_time(data: Interactions, ratios: str = DEFAULT, targets: Targets = "all") -> Interactions:
    """Everything before one moment is train, everything from a second one on is test, for all users alike.

    The moments are those before which lie r_train and r_train + r_valid of all interactions, or with r_valid = 0
    0.9 r_train and r_train; what happened at one time stays together. Users who come after the first moment have no
    history and are removed, and noted. Of a user's interactions between the moments, and of those after the second, all
    are held out, or the first or last alone; what comes before one that is held out leads up to it, and what comes
    after the last one that is is left out. Raises UserError if times of different users cannot be compared, or if no
    train, valid or test is left.
    """
    _need(data, data.has_order and data.clock, "global_time", "no clock common to all users")
    time = data.frame.timestamp.to_numpy()
    cuts = np.rint(_ends(ratios) * len(time)).astype(np.int64)
    moments = np.sort(time)[np.minimum(cuts, len(time) - 1)]
    part = np.searchsorted(moments, time, side="right").astype(np.int8)
    known = np.bincount(data.frame.user, weights=part == TRAIN)[data.frame.user] > 0
    data = _kept(data, known, "users who come after the first moment")
    part = part[known]
    if len(np.unique(part)) < 3:
        raise UserError(f"{data.file}: global_time leaves a part empty: too few different times; use per_user_time")
    told = f"global_time {ratios}, moments {moments[0]:.0f} and {moments[1]:.0f}"
    if targets == "all":
        return _with_parts(data, part, told)
    return _of_one_target(data, part, f"{told}, targets {targets}", targets)


def _of_one_target(data: Interactions, part: NDArray[np.int8], name: str, targets: Targets) -> Interactions:
    """The parts where of a user's validation and test interactions the first or last alone is held out."""
    order = time_order(data.frame)
    user, ordered = data.frame.user.to_numpy()[order], part[order]
    runs = user * 3 + ordered.astype(np.int64)  # in order of time a user's parts follow each other
    place = positions(runs) if targets == "first" else positions(runs[::-1])[::-1]
    leads = np.array([TRAIN, TEST_FOLD_IN, LEFT_OUT] if targets == "first" else [TRAIN, VALID_FOLD_IN, TEST_FOLD_IN])
    part = part.copy()
    part[order] = np.where(place == 0, ordered, leads[ordered])
    if (part == LEFT_OUT).any():
        data = _kept(data, part != LEFT_OUT, "what comes after a first interaction that is tested")
    return _with_parts(data, part[part != LEFT_OUT], name)


@_of_the_last
@_folds_in
def by_user(data: Interactions, rng: np.random.Generator, ratios: str = "80/10/10") -> Interactions:
    """Users are divided: of those of validation and test the last interaction is held out, and none is trained on.

    Of n users in random order the first int(r_train n) are train, and those up to int((r_train + r_valid) n)
    validation; with r_valid = 0 train is the first int(0.9 r_train n), and validation what is left of r_train. What a
    user of the two did before leads up to what is held out (PreferDiff, Liu et al. 2025). Users of fewer than 2
    interactions are removed, and noted. Raises UserError without order in time, or if nobody is left for a part.
    """
    _need(data, data.has_order, "by_user", f"no order in time{_why(data)}")
    data = _kept(data, np.bincount(data.frame.user)[data.frame.user] >= 2, "users with fewer than 2 interactions")
    users = rng.permutation(np.unique(data.frame.user))
    ends = (_ends(ratios) * len(users) + 1e-9).astype(np.int64)
    if not 0 < ends[0] < ends[1] < len(users):
        raise UserError(f"{data.file}: --split by_user {ratios} leaves nobody for a part of {len(users)} users")
    group = np.empty(int(users.max()) + 1, dtype=np.int8)
    group[users] = np.repeat([TRAIN, VALID, TEST], np.diff([0, *ends, len(users)]))
    own, order = group[data.frame.user], time_order(data.frame)
    last = np.empty(len(own), dtype=bool)
    last[order] = positions(data.frame.user.to_numpy()[order[::-1]])[::-1] == 0
    part = np.where(last, own, np.array([TRAIN, VALID_FOLD_IN, TEST_FOLD_IN], dtype=np.int8)[own])
    return _with_parts(data, part, f"by_user {ratios}")


@_of_the_last
def leave_one_out(data: Interactions) -> Interactions:
    """Each user's last interaction is test, the one before it valid, the rest train.

    Users of fewer than 3 are removed, and noted. Raises UserError without order in time, or if nobody has 3.
    """
    _need(data, data.has_order, "leave_one_out", f"no order in time{_why(data)}")
    data = _kept(data, np.bincount(data.frame.user)[data.frame.user] >= 3, "users with fewer than 3 interactions")
    if data.frame.empty:
        raise UserError(f"{data.file}: nobody has the 3 interactions that --split leave_one_out needs of a user")
    order = time_order(data.frame)
    from_end = positions(data.frame.user.to_numpy()[order[::-1]])[::-1]
    part = np.empty(len(order), dtype=np.int8)
    part[order] = np.select([from_end == 0, from_end == 1], [TEST, VALID], TRAIN)
    return _with_undecided(_with_parts(data, part, "leave_one_out"))


def given(data: Interactions, rng: np.random.Generator) -> Interactions:
    """The parts that come with the data; without a validation part, a random tenth of each user's train."""
    if "part" not in data.frame:
        raise UserError(f"{data.file}: comes with no division of its own, which --split given needs; {_way_out(data)}")
    part = data.frame.part.to_numpy()
    if (part == VALID).any():
        return _with_parts(data, part, "given")
    part = part.copy()
    train = np.flatnonzero(part == TRAIN)
    user = data.frame.user.to_numpy()[train]
    shuffled = np.lexsort((rng.random(len(train)), user))
    tenth = np.rint(np.bincount(user) / 10)[user[shuffled]]
    part[train[shuffled[positions(user[shuffled]) < tenth]]] = VALID
    return _with_parts(data, part, "given, validation = a random tenth of each user's train")


def _ends(ratios: str) -> NDArray[np.float64]:
    """The shares before which train ends, and before which validation does."""
    first, valid, _ = shares(ratios)
    return np.array([first, first + valid] if valid else [0.9 * first, first])


def _kept(data: Interactions, keep: NDArray[np.bool_], others: str) -> Interactions:
    """The interactions to keep, and a note on how many others there were."""
    left = data.select(keep)
    gone = [a - b for a, b in zip(data.counts(), left.counts(), strict=True)]
    return replace(left, notes=(*left.notes, f"{others}: {removed(*gone)}"))


def _need(data: Interactions, there: bool, split: str, lacking: str) -> None:
    if not there:
        raise UserError(f"{data.file}: has {lacking}, which --split {split} needs; {_way_out(data)}")


def _why(data: Interactions) -> str:
    return f" ({data.no_order})" if data.no_order else ""


def _way_out(data: Interactions) -> str:
    if "part" in data.frame:
        return "leave --split out to use the division that comes with it"
    return "use --split " + ("per_user_time" if data.has_order else "per_user_random")


DECIDED = {"file": "the order of the file", "item": "the item's id", "hash": "a hash seeded by --data-seed"}


def _with_undecided(data: Interactions) -> Interactions:
    """With a note on how many users have interactions of one time in two parts, so that time does not divide them."""
    frame = data.frame.iloc[time_order(data.frame)]
    user, time, part = (frame[name].to_numpy() for name in ("user", "timestamp", "part"))
    undecided = (user[1:] == user[:-1]) & (time[1:] == time[:-1]) & (part[1:] != part[:-1])
    count, total = len(np.unique(user[1:][undecided])), len(np.unique(user))
    if not count:
        return data
    shared = frame.duplicated(["user", "timestamp"], keep=False).to_numpy()[part != TRAIN].mean()
    note = (
        f"equal times: {count:,} of {total:,} users ({count / total:.0%}) have some on both sides of a boundary "
        f"between parts, decided by {DECIDED[data.ties]}; {shared:.0%} of held-out rows share their time"
    )
    return replace(data, notes=(*data.notes, note))


def _with_parts(data: Interactions, part: NDArray[np.int8], name: str) -> Interactions:
    counts = np.bincount(part, minlength=TEST_FOLD_IN + 1)
    note = f"split {name}: train {counts[TRAIN]:,}, valid {counts[VALID]:,}, test {counts[TEST]:,}"
    if leading := counts[VALID_FOLD_IN:].sum():
        note += f"; {leading:,} lead up to what is held out, and are not trained on"
    return replace(data, frame=data.frame.assign(part=part.astype(np.int8)), notes=(*data.notes, note))
