"""Examples of recommendations: what a handful of users had and would get. Pictures for people, and no evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.data.dataset import Dataset, History

FILE = "examples.json"
PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where the users stand among those who are tested, by the length of their histories."""
SHOWN = 5
"""Items of a history, and of what is recommended."""

Example = dict[str, Any]
"""`interactions`, how many a user has, whoever that is; `ordered`, whether in an order of time; `had` and `gets`: raw
ids of items, the newest and the best first."""


def examples(
    dataset: Dataset, known: History, users: NDArray[np.int64], recommended: NDArray[np.int64]
) -> list[Example]:
    """Of a few of `users` (n,), who are recommended items (n, K), -1 where there are no more.

    Who they are follows from the lengths of the histories `known` alone, and from no recommendation.
    """
    return [_example(dataset, known, users[place], recommended[place]) for place in _chosen(known, users)]


def _chosen(known: History, users: NDArray[np.int64]) -> list[int]:
    lengths = np.diff(known.matrix.indptr)[users]
    by_length = np.lexsort((users, lengths))
    return list(dict.fromkeys(int(by_length[int(share * len(users))]) for share in PLACES))


def _example(dataset: Dataset, known: History, user: np.int64, recommended: NDArray[np.int64]) -> Example:
    history = known.rows(np.array([user]))
    ordered = history.events is not None or history.rank is not None
    had = _newest_first(history) if ordered else history.matrix.indices
    best = recommended[recommended >= 0][:SHOWN]
    return {
        "interactions": len(had),
        "ordered": ordered,
        "had": dataset.items[had[:SHOWN]].tolist(),
        "gets": dataset.items[best].tolist(),
    }


def _newest_first(one: History) -> NDArray[np.int64]:
    """All items of the only user."""
    sequence = one.in_order()
    items: NDArray[np.int64] = sequence.items[sequence.places][::-1]
    return items


def titled(found: Sequence[Example], titles: Mapping[str, str]) -> list[Example]:
    """With the titles of items in place of their ids, where they have any."""
    return [
        {**each, **{part: [titles.get(item, item) for item in each[part]] for part in ("had", "gets")}}
        for each in found
    ]
