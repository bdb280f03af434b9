"""A generated dataset: no file, no download, the same for the same seed.

Users have a taste over genres that moves, over their interactions, from one mixture to another; items have a genre and
a long-tailed popularity. What a user takes next follows taste x popularity without repetition, so that popularity alone
explains little, similar users much, and recent interactions more than old ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.interactions import Interactions, build
from unblur.data.request import DataRequest, Ties

USERS, ITEMS, GENRES, STAGES = 2000, 1000, 40, 5
DAY = 86_400
TIES: Ties = "file"

Matrix = NDArray[np.float64]


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """About 60,000 ratings from 1 to 5 of 2,000 users for 1,000 items, with timestamps; `files` is empty."""
    rng = np.random.default_rng(request.data_seed)
    genre = rng.integers(GENRES, size=ITEMS)
    popularity = -0.8 * np.log(10 + rng.permutation(ITEMS))
    tastes = rng.dirichlet(np.full(GENRES, 0.06), size=(2, USERS))  # at the start and at the end
    length = np.clip(rng.lognormal(np.log(28), 0.45, USERS), 10, 120).astype(int)
    user, item, affinity = _choices(rng, tastes, genre, popularity, length)
    item, _ = pd.factorize(item)  # numbered as they first appear
    raw = pd.DataFrame({"user": user, "item": item}).astype(str)
    raw["rating"] = np.clip(np.rint(4.3 + 0.3 * affinity + rng.normal(0, 0.8, len(user))), 1, 5)
    raw["timestamp"] = _times(rng, user)
    return build(raw, Path("sample"), lambda row: f"sample, row {row}", request, scale=(1, 5), ties=TIES)


def _choices(
    rng: np.random.Generator, tastes: Matrix, genre: NDArray[np.int64], popularity: Matrix, length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix]:
    """User, item and log-affinity of every interaction, each user's in time order."""
    free = np.ones((USERS, ITEMS), dtype=bool)
    stages = []
    for stage in range(STAGES):
        share = stage / (STAGES - 1)
        affinity = np.log((1 - share) * tastes[0] + share * tastes[1] + 0.002)[:, genre]  # (USERS, ITEMS)
        # the largest of utility + Gumbel noise are draws without repetition
        utility = np.where(free, affinity + popularity + rng.gumbel(size=free.shape), -np.inf)
        count = (length + stage) // STAGES
        best = np.argsort(-utility, axis=1)[:, : count.max()]
        taken = np.arange(count.max()) < count[:, None]
        user, item = np.nonzero(taken)[0], best[taken]
        free[user, item] = False
        stages.append((user, item, affinity[user, item]))
    user, item, affinity = (np.concatenate(column) for column in zip(*stages, strict=True))
    order = np.argsort(user, kind="stable")
    return user[order], item[order], affinity[order]


def _times(rng: np.random.Generator, user: NDArray[np.int64]) -> Matrix:
    """Seconds since 1970: everyone begins within two years and comes back every few days."""
    gaps = rng.exponential(4 * DAY, len(user))
    elapsed = np.cumsum(gaps)
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    begin = 1_577_836_800 + rng.uniform(0, 730 * DAY, USERS)
    return np.rint(elapsed - elapsed[starts][user] + begin[user])


def example(folder: Path) -> Sequence[Path]:
    """Nothing to write."""
    return []
