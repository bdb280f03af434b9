"""Ratings too low for a hit, as far as they are known when a model is trained."""

from dataclasses import replace

import pandas as pd

from unblur.data.interactions import DISLIKED, TRAIN, Interactions
from unblur.data.order import time_order


def with_dislikes(everything: Interactions, data: Interactions, threshold: float | None) -> Interactions:
    """`data` with the ratings below `threshold` that come, in time, before the user's last training interaction.

    That bound is each user's own, so that nothing is told of the time of validation and test; items outside the
    catalogue are left out. Nobody has two ratings of one item (`interactions.build`), so that a disliked item is in
    none of the user's parts; what a protocol has made a positive is none. There are no dislikes without a threshold
    (every interaction is a hit), without ratings, or without an order in time.
    """
    if threshold is None or not everything.has_ratings or not data.has_order:
        return data
    both = with_low(everything, data, threshold)
    low = both[(both.part == TRAIN) & both.item.isin(data.frame.item)]
    met = pd.MultiIndex.from_frame(data.frame[["user", "item"]])
    low = low[~pd.MultiIndex.from_frame(low[["user", "item"]]).isin(met)]
    if low.empty:
        return data
    frame = pd.concat([data.frame, low.assign(part=DISLIKED)]).astype({"part": "int8"})
    note = f"ratings below {threshold:g} in the time of train: {len(low):,} kept as dislikes"
    return replace(data, frame=frame, notes=(*data.notes, note))


def with_low(everything: Interactions, clean: Interactions, threshold: float) -> pd.DataFrame:
    """Hits and ratings below `threshold` of the same users in time order; low ones in the part of the next hit.

    Low ratings after a user's last hit have no part (NaN).
    """
    frame = everything.frame
    low = frame[(frame.rating < threshold) & frame.user.isin(clean.frame.user)]
    both = pd.concat([clean.frame, low]).sort_index()  # the index is the row among all, by time and ties
    both = both.iloc[time_order(both)]
    both["part"] = both.groupby("user").part.bfill()
    return both
