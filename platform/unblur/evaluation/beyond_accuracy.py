"""Beyond accuracy: what the recommendations of all users together look like, from item ids and train counts.

`items` (n, K) int64 are the users' recommendations, best first, -1 for none; `counts` (n_items,) says how many users
have each item in train.
"""

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.int64]
Counts = NDArray[np.int64]


def coverage(items: Items, n_items: int, k: int) -> float:
    """The share of the catalogue that is recommended to anyone."""
    return len(np.unique(_first(items, k))) / n_items


def novelty(items: Items, counts: Counts, n_users: int, k: int) -> float:
    """Mean self-information in bits, -log2 of the share of users who have the item (Zhou et al. 2010).

    An item that nobody has in train counts as if one user had it.
    """
    return float(-np.log2(np.maximum(counts, 1) / n_users)[_first(items, k)].mean())


def gini(items: Items, n_items: int, k: int) -> float:
    """Gini index of exposure over the catalogue: 0 when all items are shown equally often, near 1 for one item."""
    exposure = np.sort(np.bincount(_first(items, k), minlength=n_items))
    position = np.arange(1, n_items + 1)
    return float(((2 * position - n_items - 1) * exposure).sum() / (n_items * exposure.sum()))


def popularity(items: Items, counts: Counts, k: int) -> float:
    """The mean number of users who have a recommended item in train."""
    return float(counts[_first(items, k)].mean())


def beyond_accuracy(items: Items, counts: Counts, n_users: int, k: int = 10) -> dict[str, float]:
    """All of them, named as the metrics are: `coverage_at_10`, ..."""
    return {
        f"coverage_at_{k}": coverage(items, len(counts), k),
        f"novelty_at_{k}": novelty(items, counts, n_users, k),
        f"gini_at_{k}": gini(items, len(counts), k),
        f"popularity_at_{k}": popularity(items, counts, k),
    }


def _first(items: Items, k: int) -> Items:
    """The item ids among everybody's first k, flat; places without an item left out."""
    first = items[:, :k]
    return first[first >= 0]
