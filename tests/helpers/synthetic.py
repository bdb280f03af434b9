"""Small made-up interactions in which a known structure is to be found."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset


def communities(n_users: int = 120, n_items: int = 40, groups: int = 4, seed: int = 0) -> Dataset:
    """Users who only like the items of their own group: within it everything is random.

    Each user has 5 of the group's 10 items in train and 2 in valid, in a random order of time.
    """
    rng = np.random.default_rng(seed)
    per_group = n_items // groups
    train, valid = [], []
    for user in range(n_users):
        liked = user % groups * per_group + rng.permutation(per_group)
        train += [(user, item, position) for position, item in enumerate(liked[:5])]
        valid += [(user, item, position) for position, item in enumerate(liked[5:7])]
    users, items = np.arange(n_users).astype(str), np.arange(n_items).astype(str)
    (train_matrix, train_rank), (valid_matrix, valid_rank) = (
        _part(np.array(p), n_users, n_items) for p in (train, valid)
    )
    return Dataset(train_matrix, valid_matrix, train_rank, valid_rank, users, items, digest="made-up")


def with_dislikes(dataset: Dataset, seed: int = 0) -> Dataset:
    """`communities` in which each user dislikes one of the items of the own group that are in no part."""
    met = (dataset.train + dataset.valid).toarray() > 0
    group = dataset.train.toarray() @ np.kron(np.eye(4), np.ones((10, 10))) > 0
    rng = np.random.default_rng(seed)
    items = [rng.choice(np.flatnonzero(row)) for row in group & ~met]
    ones = np.ones(dataset.n_users, dtype=np.float32)
    disliked = csr_matrix((ones, (np.arange(dataset.n_users), items)), shape=dataset.train.shape)
    return replace(dataset, disliked=disliked)


def _part(rows: np.ndarray, n_users: int, n_items: int) -> tuple[csr_matrix, np.ndarray]:
    ranks = csr_matrix((rows[:, 2] + 1, (rows[:, 0], rows[:, 1])), shape=(n_users, n_items))
    ranks.sort_indices()
    ones = np.ones(ranks.nnz, dtype=np.float32)
    return csr_matrix((ones, ranks.indices, ranks.indptr), shape=ranks.shape), (ranks.data - 1).astype(np.int32)


def chains(n_users: int = 64, n_items: int = 20, seed: int = 0) -> Dataset:
    """Users who go through the items in one order from wherever they begin: 4 to 8 in train, the next one in valid."""
    rng = np.random.default_rng(seed)
    train, valid = [], []
    for user in range(n_users):
        begin, length = rng.integers(n_items), rng.integers(4, 9)
        items = [int(begin + step) % n_items for step in range(length + 1)]
        train += [(user, item, position) for position, item in enumerate(items[:-1])]
        valid.append((user, items[-1], 0))
    parts = [_part(np.array(p), n_users, n_items) for p in (train, valid)]
    (train_matrix, train_rank), (valid_matrix, valid_rank) = parts
    users, items_ = np.arange(n_users).astype(str), np.arange(n_items).astype(str)
    return Dataset(train_matrix, valid_matrix, train_rank, valid_rank, users, items_, digest="chains")
