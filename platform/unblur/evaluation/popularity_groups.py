"""Accuracy by item popularity: is a model right about the few well-known items alone, or about the many others too?"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

GROUPS = ("head", "middle", "tail")


def popularity_group(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each item's group (n_items,): 0 head, 1 middle, 2 tail, which share the train interactions equally.

    counts (n_items,): the users who have each item in train. The head is the fewest most popular items that hold a
    third of all interactions, the tail those that hold the last third, with the items that nobody has.
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    group = np.empty(len(counts), dtype=np.int64)
    group[order] = np.minimum(len(GROUPS) * before // max(int(counts.sum()), 1), len(GROUPS) - 1)
    return group


def recall_by_popularity(
    items: NDArray[np.int64], truth: csr_matrix, counts: NDArray[np.int64], k: int = 10
) -> dict[str, float]:
    """`recall_at_10_head`, `_middle`, `_tail`: the share of a group's held-out items among the first k.

    items (n, K): recommendations, best first, -1 for none; truth (n, n_items): the same users' held-out items. The
    mean is over the users who hold out an item of the group; a group of which nobody does is left out.
    """
    groups, recalls = popularity_group(counts), {}
    first = items[:, :k]
    users, places = np.nonzero(first >= 0)
    shown = csr_matrix((np.ones(len(users), bool), (users, first[users, places])), shape=truth.shape)
    found = shown.multiply(truth.astype(bool)).tocsr()
    for number, name in enumerate(GROUPS):
        of_group = (groups == number).astype(np.float64)
        relevant = truth.astype(bool) @ of_group
        if relevant.any():
            has = relevant > 0
            recalls[f"recall_at_{k}_{name}"] = float(((found @ of_group)[has] / relevant[has]).mean())
    return recalls
