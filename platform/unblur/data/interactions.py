"""What people did: one row per user and item, as every source hands it over."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.reading import Where, numbers
from unblur.data.request import Ties
from unblur.errors import UserError

TRAIN, VALID, TEST = 0, 1, 2
DISLIKED = 3
"""What a user met in the time of train and rated too low for a hit: no part of the split, but known with train."""


@dataclass(frozen=True)
class Interactions:
    """Interactions of all users with all items.

    `frame` has the columns user, item (rows of the vocabularies, int64), rating (float64, NaN = unknown), timestamp
    (float64: time in the source's unit, or a position where only order is known; NaN = no place in time) and part
    (int8: TRAIN, VALID, TEST, at the very end DISLIKED too; only once the data are split), in file order. `users`,
    `items`: raw ids. `clock`: timestamps of different users can be compared. `notes`: what was done on the way, for
    the report. `no_order`: why there is no order in time, where a person can do something about it.
    """

    frame: pd.DataFrame
    users: NDArray[np.str_]
    items: NDArray[np.str_]
    file: Path
    clock: bool
    notes: tuple[str, ...] = ()
    no_order: str = ""

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
    strict: bool,
    scale: tuple[float, float] = (-np.inf, np.inf),
    clock: bool = True,
    unknown_ratings: bool = False,
    unordered: bool = False,
    dense_ids: bool = False,
) -> Interactions:
    """Interactions from raw columns: user, item and, where the source knows them, rating, timestamp, part.

    Ratings have to lie in `scale`; missing ones are refused unless `unknown_ratings`, missing timestamps unless
    `unordered`. With `dense_ids` user and item are 0-based integers already and stay as they are. Of a pair that occurs
    twice the first is kept, and the number noted; `strict` refuses it. Raises UserError, naming the line by `where`.
    """
    if raw.empty:
        raise UserError(f"{file}: holds no interactions")
    encode = _dense if dense_ids else _encode
    user, users = encode(raw.user, where, "user")
    item, items = encode(raw.item, where, "item")
    unknown = pd.Series(np.nan, index=raw.index)
    rating = numbers(raw.rating, where, "rating", *scale, optional=unknown_ratings) if "rating" in raw else unknown
    time = numbers(raw.timestamp, where, "timestamp", -np.inf, np.inf, unordered) if "timestamp" in raw else unknown
    frame = pd.DataFrame({"user": user, "item": item, "rating": rating, "timestamp": time})
    if "part" in raw:
        frame["part"] = raw.part.to_numpy(dtype=np.int8)
    again = pd.Series(user * len(items) + item).duplicated().to_numpy()
    if strict and again.any():
        raise _duplicate(raw, again, where)
    everything = Interactions(frame, users, items, file, clock)
    count = int(again.sum())
    return everything.select(~again, f"duplicate pairs: {count:,} rows removed, the first of each kept")


def in_order_of_ties(data: Interactions, ties: Ties) -> Interactions:
    """With `item`, each user's rows by time and then item id (numbers as numbers), as if the file had them so.

    Raises UserError without order in time.
    """
    if ties == "file":
        return data
    if not data.has_order:
        raise UserError(f"{data.file}: has no order in time, so that there are no ties; leave --ties out")
    numeric = np.char.isdigit(data.items).all()
    by_id = np.lexsort((data.items, np.char.str_len(data.items) * numeric))
    order = np.lexsort((np.argsort(by_id)[data.frame.item], data.frame.timestamp, data.frame.user))
    return replace(data, frame=data.frame.iloc[order].reset_index(drop=True), notes=(*data.notes, "ties by item id"))


def _encode(ids: "pd.Series[str]", where: Where, kind: str) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """0-based rows in order of first appearance, and the ids by row."""
    factors, names = pd.factorize(ids)
    codes: NDArray[np.int64] = np.asarray(factors, dtype=np.int64)
    known = pd.Series(names).astype(str)
    # numpy cuts NULs off the end, so that two ids would become one
    bad = (known.eq("") | known.str.contains("\0", regex=False)).to_numpy(dtype=bool)
    wrong = np.append(bad, True)[codes]  # a missing id has code -1
    if wrong.any():
        row = int(wrong.argmax())
        found = "empty" if codes[row] < 0 or known[codes[row]] == "" else f"{known[codes[row]]!r}, with a NUL"
        raise UserError(f"{where(row)}: {kind} is {found}, expected an id")
    return codes, np.asarray(names, dtype=np.str_)


def _dense(ids: "pd.Series[int]", where: Where, kind: str) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Ids that count from 0; far larger ones than there are would only fill the memory."""
    values: NDArray[np.int64] = np.asarray(ids, dtype=np.int64)
    limit = 10 * ids.nunique() + 1000
    bad = (values < 0) | (values >= limit)
    if bad.any():
        row = int(bad.argmax())
        raise UserError(f"{where(row)}: {kind} is {values[row]}, expected ids that count from 0 without large gaps")
    return values, np.arange(values.max() + 1).astype(np.str_)


def _duplicate(raw: pd.DataFrame, again: NDArray[np.bool_], where: Where) -> UserError:
    row = int(again.argmax())
    pair = raw[["user", "item"]].reset_index(drop=True)
    first = int((pair == pair.iloc[row]).all(axis=1).to_numpy().argmax())
    user, item = pair.iloc[row]
    return UserError(
        f"{where(row)}: user {user!r} and item {item!r} are already at {where(first)}; --strict wants each pair once"
    )
