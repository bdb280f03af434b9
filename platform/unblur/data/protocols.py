"""Protocols, clean, noisy and sparse training data: one public function each, found by its name (`--protocol`).

A protocol is given `clean`, the split hits, and, if it has parameters for them, `everything` that the source holds, the
rating `threshold` of a hit, the `share` of noise or of what is kept (`--protocol-share`) and a random generator `rng`.
It answers what is trained and tested on; the test set is the same in all of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.dislikes import with_low
from unblur.data.interactions import HIDDEN, TEST, TRAIN, VALID, Interactions
from unblur.data.order import positions
from unblur.errors import UserError

LOW = 4.0
"""Ratings below this are natural noise, as in DiffRec, where neither flag nor preset says what a hit is."""

Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Interactions])


def _shares(least: float, most: float) -> Callable[[F], F]:
    """Mark a protocol with the shares that it takes."""

    def marked(function: F) -> F:
        function.shares = (least, most)  # type: ignore[attr-defined]
        return function

    return marked


def clean(clean: Interactions) -> Interactions:
    """The hits as they are."""
    return clean


def noisy_natural(
    everything: Interactions, clean: Interactions, threshold: float, rng: np.random.Generator
) -> Interactions:
    """Ratings below `threshold` among train and valid as if they were hits.

    A low rating falls into the part of the user's next hit in time; those after the last hit before test stay out,
    so that train holds nothing later than valid, and valid nothing later than test. From hits and low ratings
    together as many are then drawn per user and part as there were hits, so that sizes stay: DiffRec's own noisy
    lists are made this way too (they hold 65% of the clean train, and about as many rows). Raises UserError for data
    without ratings or order in time.
    """
    if not everything.has_ratings or not clean.has_order:
        raise UserError(
            f"{everything.file}: --protocol noisy_natural needs ratings and an order in time, which it lacks"
        )
    both = with_low(everything, clean, threshold)
    hit = both.index.isin(clean.frame.index)
    both = both[hit | both.part.isin([TRAIN, VALID])]
    keep = (both.part == TEST).to_numpy() | _draw(both, clean.frame, rng)
    noisy = both[keep].sort_index().astype({"part": np.int8})
    share = 1 - noisy.index.isin(clean.frame.index).mean()
    return _noted(clean, noisy, f"noisy_natural: {share:.1%} of all rows are ratings below {threshold:g}")


def _draw(both: pd.DataFrame, hits: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.bool_]:
    """As many random rows of `both` per user and part as there are in `hits`."""
    group = _group(both)
    wanted = np.bincount(_group(hits), minlength=group.max() + 1)
    shuffled = np.lexsort((rng.random(len(group)), group))
    drawn = np.zeros(len(group), dtype=bool)
    drawn[shuffled] = positions(group[shuffled]) < wanted[group[shuffled]]
    return drawn


@_shares(0, 0.5)
def noisy_random(clean: Interactions, share: float, rng: np.random.Generator) -> Interactions:
    """Random items among train and valid: `share` times as many as each user has there.

    The items are ones that the user never met, not in test either, and at most half of those. Each takes the time of
    a random interaction of its user and part.
    """
    frame = clean.frame
    group = _group(frame)
    donors = np.argsort(group, kind="stable")
    counts = np.bincount(group)
    wanted = np.rint(share * counts).astype(np.int64)
    wanted[TEST::3] = 0
    free = frame.item.nunique() - np.bincount(frame.user)
    wanted = np.minimum(wanted, np.repeat(free // 4, 3)[: len(wanted)])  # a quarter for each of the two parts
    new = np.repeat(np.arange(len(wanted)), wanted)
    like = donors[(np.cumsum(counts) - counts)[new] + (rng.random(len(new)) * counts[new]).astype(np.int64)]
    noise = frame.iloc[like].assign(item=_unmet(frame, new // 3, rng), rating=np.nan)
    noise.index = pd.RangeIndex(frame.index.max() + 1, frame.index.max() + 1 + len(noise))
    return _noted(clean, pd.concat([frame, noise]), f"noisy_random: {len(noise):,} random interactions added")


@_shares(0.1, 1)
def sparse(clean: Interactions, share: float, rng: np.random.Generator) -> Interactions:
    """Random interactions of each user's train, `share` of them, rounded, and at least one.

    Validation and test stay as they are, and so does what is recommended to nobody: what is taken from train is
    hidden, so that figures at two shares differ by what was known and not by what was ranked. A larger share keeps
    all that a smaller one does.
    """
    train = np.flatnonzero(clean.frame.part == TRAIN)
    user = clean.frame.user.to_numpy()[train]
    shuffled = np.lexsort((rng.random(len(train)), user))
    kept = np.maximum(np.rint(share * np.bincount(user)), 1)[user[shuffled]]
    part = clean.frame.part.to_numpy(copy=True)
    part[train[shuffled[positions(user[shuffled]) >= kept]]] = HIDDEN
    return _noted(clean, clean.frame.assign(part=part), f"sparse: {share:.0%} of each user's train are kept")


def _unmet(frame: pd.DataFrame, user: Ints, rng: np.random.Generator) -> Ints:
    """For each entry of `user` (ids, repeated as often as wanted) an item that it never met, all different."""
    items, met = np.unique(frame.item, return_inverse=True)
    width = len(items) + 1
    order = np.lexsort((met, frame.user))
    owner = frame.user.to_numpy()[order]
    # a met item's place minus the number of met items before it: how many unmet ones come before
    keys = owner * width + met[order] - positions(owner)
    starts = np.searchsorted(owner, user)
    free = len(items) - np.bincount(frame.user)[user]
    place = np.zeros(len(user), dtype=np.int64)
    again = np.ones(len(user), dtype=bool)
    while again.any():
        place[again] = (rng.random(again.sum()) * free[again]).astype(np.int64)
        again = pd.Series(user * width + place).duplicated().to_numpy()
    unmet: Ints = items[place + np.searchsorted(keys, user * width + place, side="right") - starts]
    return unmet


def _group(frame: pd.DataFrame) -> Ints:
    """One number for each user and part."""
    return np.asarray(frame.user * 3 + frame.part, dtype=np.int64)


def _noted(clean: Interactions, frame: pd.DataFrame, what: str) -> Interactions:
    counts = np.bincount(frame.part, minlength=3)
    sizes = f"train {counts[TRAIN]:,}, valid {counts[VALID]:,}, test {counts[TEST]:,}"
    return replace(clean, frame=frame, notes=(*clean.notes, f"{what}; {sizes}"))
