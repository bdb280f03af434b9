"""The order of interactions in time."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def time_order(frame: pd.DataFrame) -> Ints:
    """Rows sorted by user, then time; equal times stay in the order of the rows."""
    return np.lexsort((frame.timestamp.to_numpy(), frame.user.to_numpy()))


def positions(sorted_ids: Ints) -> Ints:
    """The 0-based place of each entry within its run of equal ids."""
    starts = np.flatnonzero(np.diff(sorted_ids, prepend=-1))
    return np.arange(len(sorted_ids)) - np.repeat(starts, np.diff(np.append(starts, len(sorted_ids))))
