"""Made interactions of the size of real datasets: a few items have most of them, and nothing is to be learned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset


@dataclass(frozen=True)
class Size:
    """Of a dataset: its users, its items, and about how many interactions there are in train."""

    name: str
    users: int
    items: int
    interactions: int


TOYS = Size("toys", 4_149, 2_474, 33_700)
YELP2018 = Size("yelp2018", 31_668, 38_048, 1_237_259)
TINY = Size("tiny", 200, 100, 2_000)


def made(size: Size) -> Dataset:
    """Lengths are lognormal, popularity falls as a power; each user's newest interaction is validation's."""
    rng = np.random.default_rng(0)
    lengths = rng.lognormal(0.0, 1.0, size.users)
    lengths = np.clip(lengths * size.interactions / lengths.sum(), 3, size.items // 2).astype(np.int64)
    popularity = np.arange(1, size.items + 1) ** -0.8
    drawn = rng.choice(size.items, int(lengths.sum()), p=popularity / popularity.sum())
    owners = np.repeat(np.arange(size.users), lengths)
    keys = rng.permutation(np.unique(owners * size.items + drawn))  # nobody has an item twice
    users, items = np.divmod(keys[np.argsort(keys // size.items, kind="stable")], size.items)  # in a random order
    newest = np.diff(users, append=-1) != 0
    train, train_rank = _part(users[~newest], items[~newest], size)
    valid, valid_rank = _part(users[newest], items[newest], size)
    names = np.arange(size.users).astype(str), np.arange(size.items).astype(str)
    return Dataset(train, valid, train_rank, valid_rank, *names, digest=size.name)


def _part(users: NDArray[np.int64], items: NDArray[np.int64], size: Size) -> tuple[csr_matrix, NDArray[np.int32]]:
    """Interactions in the order of users and, in each, of time, as a matrix and the aligned ranks."""
    starts = np.searchsorted(users, np.arange(size.users))
    ranks = csr_matrix((np.arange(len(users)) - starts[users] + 1, (users, items)), shape=(size.users, size.items))
    ranks.sort_indices()
    matrix = csr_matrix((np.ones(ranks.nnz, np.float32), ranks.indices, ranks.indptr), shape=ranks.shape)
    return matrix, (ranks.data - 1).astype(np.int32)
