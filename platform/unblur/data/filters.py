"""Filters on interactions; each reports how many users, items and rows it removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unblur.data.interactions import Interactions
from unblur.errors import UserError

Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]


class Filter(Protocol):
    """Chooses the rows to keep; its text names it in the report."""

    def keep(self, data: Interactions) -> Mask: ...


@dataclass(frozen=True)
class MinRating:
    """Ratings of at least `threshold`; rows whose rating is unknown go too."""

    threshold: float

    def __str__(self) -> str:
        return f"rating >= {self.threshold:g}"

    def keep(self, data: Interactions) -> Mask:
        if not data.has_ratings:
            raise UserError(f"{data.file}: has no ratings, so that {self} cannot be asked; leave --min-rating out")
        return data.frame.rating.to_numpy() >= self.threshold


@dataclass(frozen=True)
class KCore:
    """Users and items with at least `k` rows, again and again until nothing changes."""

    k: int

    def __str__(self) -> str:
        return f"iterated {self.k}-core"

    def keep(self, data: Interactions) -> Mask:
        user, item = data.frame.user.to_numpy(), data.frame.item.to_numpy()
        rows = np.arange(len(user))
        while True:
            enough = frequent(user[rows], self.k) & frequent(item[rows], self.k)
            if enough.all():
                break
            rows = rows[enough]
        keep = np.zeros(len(user), dtype=bool)
        keep[rows] = True
        return keep


@dataclass(frozen=True)
class MinCounts:
    """Users with at least `users` rows, then items with at least `items` of what is left; one pass each."""

    users: int
    items: int

    def __str__(self) -> str:
        return f"users with >= {self.users}, then items with >= {self.items}"

    def keep(self, data: Interactions) -> Mask:
        keep = frequent(data.frame.user.to_numpy(), self.users)
        keep[keep] = frequent(data.frame.item.to_numpy()[keep], self.items)
        return keep


def frequent(ids: Ids, at_least: int) -> Mask:
    """Which of `ids` occur at least that often."""
    return np.bincount(ids)[ids] >= at_least if ids.size else np.zeros(0, dtype=bool)


def apply(data: Interactions, filters: Sequence[Filter]) -> Interactions:
    """`data` through all `filters`, with a note from each. Raises UserError if no user is left."""
    for each in filters:
        before = data.counts()
        data = data.select(each.keep(data))
        users, items, rows = (a - b for a, b in zip(before, data.counts(), strict=True))
        data = data.select(np.full(len(data.frame), True), f"{each}: {removed(users, items, rows)}")
        if data.frame.empty:
            asked = "; ".join(map(str, filters))
            raise UserError(
                f"{data.file}: the filters ({asked}) leave no user of {before[0]:,} users, {before[1]:,} items and "
                f"{before[2]:,} rows before {str(each)!r}; bring more data, or ask for less of them"
            )
    return data


def removed(users: int, items: int, rows: int) -> str:
    """The one wording for what a step removed."""
    return f"removed {users:,} users, {items:,} items, {rows:,} rows"
