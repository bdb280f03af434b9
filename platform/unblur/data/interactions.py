"""What people did: one row per user and item, as every source hands it over."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.ids import dense, encode, hashed, mixed, point_zero_twins
from unblur.data.numeric import numbers
from unblur.data.reading import Where
from unblur.data.request import DataRequest, Ties
from unblur.errors import UserError

TRAIN, VALID, TEST = 0, 1, 2
Ints = NDArray[np.int64]

DISLIKED = 3
"""What a user met in the time of train and rated too low for a hit: no part of the split, but known with train."""
VALID_FOLD_IN, TEST_FOLD_IN = 4, 5
"""What leads up to an interaction that is held out, and is not trained on: a model is given it with the history."""
HIDDEN = 6
"""What a protocol took from train: neither trained on nor shown, and recommended to nobody who has it."""


@dataclass(frozen=True)
class Interactions:
    """Interactions of all users with all items.

    `frame` has the columns user, item (rows of the vocabularies, int64), rating (float64, NaN = unknown), timestamp
    (float64: time in the source's unit, or a position where only order is known; NaN = no place in time) and part
    (int8: TRAIN, VALID, TEST, of some splits VALID_FOLD_IN and TEST_FOLD_IN, of some protocols HIDDEN, at the very
    end DISLIKED too; only once the data are split). Rows are sorted by user and
    time, equal times as `ties` says, so that they do not depend on the order of the source. `users`, `items`: raw ids.
    `clock`: timestamps of different users can be compared. `notes`: what was done on the way, for the report.
    `repeats`: rows whose pair was there already, which are left out unless `repeats_kept`. `no_order`: why there is no
    order in time, where a person can do something about it.
    """

    frame: pd.DataFrame
    users: NDArray[np.str_]
    items: NDArray[np.str_]
    file: Path
    clock: bool
    notes: tuple[str, ...] = ()
    no_order: str = ""
    repeats: int = 0
    ties: Ties = "hash"
    repeats_kept: bool = False

    @property
    def has_ratings(self) -> bool:
        return bool(self.frame.rating.notna().any())

    @property
    def has_order(self) -> bool:
        return bool(self.frame.timestamp.notna().all())

    def select(self, keep: NDArray[np.bool_], note: str | None = None) -> Self:
        """Only the rows in `keep`; ids and vocabularies stay as they are."""
        return replace(self, frame=self.frame[keep], notes=self.notes if note is None else (*self.notes, note))

    def counts(self) -> tuple[int, int, int]:
        """Users, items and rows that occur."""
        return self.frame.user.nunique(), self.frame.item.nunique(), len(self.frame)

    def compact(self) -> Self:
        """The same with vocabularies reduced to the ids that occur, in the same order."""
        users, user = np.unique(self.frame.user.to_numpy(), return_inverse=True)
        items, item = np.unique(self.frame.item.to_numpy(), return_inverse=True)
        frame = self.frame.assign(user=user, item=item)
        return replace(self, frame=frame, users=self.users[users], items=self.items[items])


def build(
    raw: pd.DataFrame,
    file: Path,
    where: Where,
    request: DataRequest,
    scale: tuple[float, float] = (-np.inf, np.inf),
    clock: bool = True,
    ties: Ties = "hash",
    unknown_ratings: bool = False,
    unordered: bool = False,
    dense_ids: bool = False,
) -> Interactions:
    """Interactions from raw columns: user, item and, where the source knows them, rating, timestamp, part.

    Ratings have to lie in `scale`; missing ones are refused unless `unknown_ratings`, missing timestamps unless
    `unordered`. `ties`: what decides between equal times, unless the request says otherwise. With `dense_ids` user and
    item are 0-based integers already and stay as they are. Of a pair that occurs twice the earliest is kept, and the
    number noted; `--strict` refuses it. Raises UserError, naming the line by `where`.
    """
    if raw.empty:
        raise UserError(f"{file}: holds no interactions, expected a row for each")
    encoded = dense if dense_ids else encode
    user, users = encoded(raw.user, where, "user")
    item, items = encoded(raw.item, where, "item")
    unknown = pd.Series(np.nan, index=raw.index)
    rating = numbers(raw.rating, where, "rating", *scale, optional=unknown_ratings) if "rating" in raw else unknown
    time = numbers(raw.timestamp, where, "timestamp", -np.inf, np.inf, unordered) if "timestamp" in raw else unknown
    frame = pd.DataFrame({"user": user, "item": item, "rating": rating, "timestamp": time}).reset_index(drop=True)
    if "part" in raw:
        frame["part"] = raw.part.to_numpy(dtype=np.int8)
    if request.strict:
        _refuse_repeats(raw, frame, where)
    data = Interactions(frame, users, items, file, clock, ties=request.ties or ties)
    if request.ties and not data.has_order:
        raise UserError(f"{file}: has no order in time, so that there are no ties; leave --ties out")
    ordered = _sorted(data, request.data_seed)
    return _noted(_with_repeats(ordered) if request.repeats == "keep" else _without_repeats(ordered))


def _sorted(data: Interactions, seed: int) -> Interactions:
    """Rows by user and time, within equal times as `data.ties` says, where there is no time by item."""
    frame = data.frame
    user, item, time = frame.user.to_numpy(), frame.item.to_numpy(), frame.timestamp.to_numpy()
    tie: Ints = np.arange(len(frame))
    if data.ties != "file":
        tie = item
    if data.ties == "hash":  # of user and item, so that no item is always the earlier one
        tie = mixed(hashed(data.users, seed)[user], hashed(data.items, seed)[item])
    part = frame.part.to_numpy() if "part" in frame else np.zeros(len(frame), dtype=np.int8)
    order = np.lexsort((-frame.rating.to_numpy(), item, np.where(np.isnan(time), item, tie), time, part, user))
    return replace(data, frame=frame.iloc[order].reset_index(drop=True))


def _without_repeats(data: Interactions) -> Interactions:
    """The first row of each pair; a changed rating counts as it was first given, at one time the higher one."""
    pairs, rating = data.frame[["user", "item"]], data.frame.rating
    again = pairs.duplicated().to_numpy()
    if not again.any():
        return data
    which = "earliest" if data.has_order else "first"
    note = f"duplicate pairs: {int(again.sum()):,} rows removed, the {which} of each kept"
    if data.has_ratings:
        kept = rating.where(~again).groupby([pairs.user, pairs.item]).transform("first")
        note += f"; {int((again & rating.ne(kept) & ~(rating.isna() & kept.isna())).sum()):,} had another rating"
    found = data.select(~again, note)
    return replace(found, frame=found.frame.reset_index(drop=True), repeats=int(again.sum()))


def _with_repeats(data: Interactions) -> Interactions:
    """All rows; UserError where there is no order for them to be repeated in."""
    if not data.has_order:
        raise UserError(
            f"{data.file}: has no order in time, in which --repeats keep would mean something; leave it out"
        )
    again = int(data.frame[["user", "item"]].duplicated().sum())
    return replace(data, repeats=again, repeats_kept=True, notes=(*data.notes, f"repeated pairs: {again:,} rows kept"))


ENOUGH = 100
"""Pairs of neighbours in time; in data with an order about half of them fall."""
SORTED = "every user's items are sorted by their ids"
ONE_TIME = "no user has two different times; --ties file takes the rows as they are in the file"


def _noted(data: Interactions) -> Interactions:
    """With notes on what looks odd; an order that the data do not really give is taken away."""
    for kind, names in (("users", data.users), ("items", data.items)):
        if twins := point_zero_twins(names):
            data = replace(data, notes=(*data.notes, f"note: {twins:,} {kind} differ from another by `.0` alone"))
    user, item, time = (data.frame[name].to_numpy() for name in ("user", "item", "timestamp"))
    same_user, moved = user[1:] == user[:-1], time[1:] > time[:-1]
    if data.ties != "file" and same_user.any() and data.has_order and not (same_user & moved).any():
        return _without_order(data, ONE_TIME)
    neighbours = same_user & moved
    if neighbours.sum() < ENOUGH or (item[1:] < item[:-1])[neighbours].any():
        return data
    if not data.clock:
        return _without_order(data, SORTED)
    return replace(data, notes=(*data.notes, f"note: {SORTED}; if the times were made up, use --split per_user_random"))


def _without_order(data: Interactions, why: str) -> Interactions:
    frame = data.frame.assign(timestamp=np.nan).sort_values(["user", "item"], ignore_index=True)
    return replace(data, frame=frame, no_order=why, notes=(*data.notes, f"no order in time: {why}"))


def _refuse_repeats(raw: pd.DataFrame, frame: pd.DataFrame, where: Where) -> None:
    pairs = frame[["user", "item"]]
    again = pairs.duplicated().to_numpy()
    if not again.any():
        return
    row = int(again.argmax())
    first = int((pairs == pairs.iloc[row]).all(axis=1).to_numpy().argmax())
    user, item = raw.user.iloc[row], raw.item.iloc[row]
    raise UserError(
        f"{where(row)}: user {user!r} and item {item!r} are already at {where(first)}; --strict wants each pair once"
    )
