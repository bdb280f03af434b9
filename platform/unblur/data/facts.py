"""What interactions look like before anything is done: counts, long tail, histories, times, ratings, filters."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.filters import KCore
from unblur.data.guessing import FEW, unit_of
from unblur.data.interactions import Interactions
from unblur.data.request import SPLITS
from unblur.errors import UserError

CORES = (5, 10)
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
PARTS = 20
"""Points of the long tail's curve."""
LIKED = 0.8
"""Share of the highest rating from which on one is usually a like: 4 of 5, 8 of 10."""
UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
STEPS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True)
class Counts:
    """Users, items and interactions of a part of the data, and what it is."""

    name: str
    users: int
    items: int
    interactions: int


@dataclass(frozen=True)
class Times:
    """First and last time (ISO, or the number as it is), what the finest difference is a multiple of, and how many
    interactions have another of their user at the same time (a share)."""

    first: str
    last: str
    resolution: str
    shared: float


@dataclass(frozen=True)
class Ratings:
    """How often each rating occurs (at most 21 of them), from which one on it is usually a like, and how many lie below
    (a share)."""

    counts: dict[float, int]
    unknown: int
    liked: float
    below: float


@dataclass(frozen=True)
class Division:
    """Interactions in each part of a split; `why` it cannot be made where it cannot."""

    name: str
    train: int = 0
    valid: int = 0
    test: int = 0
    users: int = 0
    why: str = ""


@dataclass(frozen=True)
class DataFacts:
    """All of it.

    tail: the share of interactions that the most frequent items have, at each twentieth of the items.
    """

    total: Counts
    repeats: int
    tail: tuple[float, ...]
    histories: dict[float, int]
    times: Times | None
    ratings: Ratings | None
    cores: tuple[Counts, ...]
    divisions: tuple[Division, ...]

    @property
    def head(self) -> float:
        """The share of interactions that the tenth of the items with the most has."""
        return self.tail[PARTS // 10]


def facts_of(data: Interactions, kept: Interactions) -> DataFacts:
    """The facts of interactions as they were read; `kept`: what the filters leave, which the splits divide."""
    lengths = np.bincount(data.frame.user)
    return DataFacts(
        total=_counts("all", data),
        repeats=data.repeats,
        tail=_tail(np.bincount(data.frame.item)),
        histories={q: int(np.quantile(lengths, q, method="nearest")) for q in QUANTILES},
        times=_times(data.frame) if data.has_order else None,
        ratings=_ratings(data.frame.rating.to_numpy()) if data.has_ratings else None,
        cores=tuple(_counts(f"{k}-core", data.select(KCore(k).keep(data))) for k in CORES),
        divisions=tuple(_division(name, kept.compact()) for name in ("per_user_time", "global_time", "leave_one_out")),
    )


def _counts(name: str, data: Interactions) -> Counts:
    return Counts(name, *data.counts())


def _tail(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """The share of the most frequent items at 0, 1/20, ... of them; a part of an item counts as that part."""
    summed = np.concatenate([[0], np.cumsum(np.sort(counts)[::-1])]) / counts.sum()
    places = np.linspace(0, len(counts), PARTS + 1)
    return tuple(map(float, np.interp(places, np.arange(len(summed)), summed)))


def _times(frame: pd.DataFrame) -> Times:
    time = frame.timestamp
    shared = float(frame.duplicated(["user", "timestamp"], keep=False).mean())
    unit = unit_of(time)
    if unit is None:
        return Times(f"{time.min():g}", f"{time.max():g}", "numbers that are no moments since 1970", shared)
    seconds = time.to_numpy() * UNITS[unit]
    first, last = (str(pd.Timestamp(value, unit="s").round("s")) for value in (seconds.min(), seconds.max()))
    step = next((name for each, name in STEPS if not (seconds % each).any()), "parts of a second")
    return Times(first, last, step, shared)


def _ratings(ratings: NDArray[np.float64]) -> Ratings | None:
    """None where they are counts of plays or the like: too many different ones for a scale."""
    known = ratings[~np.isnan(ratings)]
    values, counts = np.unique(known, return_counts=True)
    if len(values) > FEW:
        return None
    liked = float(np.ceil(LIKED * values[-1]))
    named = {float(value): int(count) for value, count in zip(values, counts, strict=True)}
    return Ratings(named, int(np.isnan(ratings).sum()), liked, float((known < liked).mean()))


def _division(name: str, data: Interactions) -> Division:
    try:
        divided: Interactions = SPLITS.get(name)(data)
    except UserError as error:
        return Division(name, why=str(error).removeprefix(f"{data.file}: "))
    train, valid, test = (int(count) for count in np.bincount(divided.frame.part, minlength=3)[:3])
    return Division(name, train, valid, test, divided.counts()[0])
