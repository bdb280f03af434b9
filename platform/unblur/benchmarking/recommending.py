"""How long recommendations for everyone take: made data, a network trained on them for an epoch, a Parquet file."""

import tempfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from unblur.benchmarking.implementations import timed
from unblur.benchmarking.result import Recommending
from unblur.data.dataset import Dataset
from unblur.experiments.recommend import recommendations, write
from unblur.models.diffusion import cfg_diffrec
from unblur.training.loop import fit_for

ITEMS, LENGTH, K = 10_000, 30, 20
"""Items of the made catalogue, interactions of each user, and items that each gets."""
HELD_OUT = 3
"""Of a user's interactions those in the validation part."""


def measure(users: int, hidden: int, batch_size: int) -> Recommending:
    """Seconds from the trained model to the written file, for `users` users; the training is told apart."""
    dataset = made(users)
    config = cfg_diffrec.Config.model_validate({"dims": (hidden,), "batch_size": batch_size, "guidance_scale": 2.0})
    model = cfg_diffrec.Model(config, dataset.n_users, dataset.n_items)
    training, _ = timed(lambda: fit_for(model, dataset, epochs=1))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recommendations.parquet"
        seconds, rows = timed(lambda: _written(model, dataset, file))
        size = file.stat().st_size
    return Recommending(
        model="cfg_diffrec", users=users, items=ITEMS, k=K, rows=rows, seconds=seconds, training=training, bytes=size
    )


def _written(model: cfg_diffrec.Model, dataset: Dataset, file: Path) -> int:
    found = recommendations(model, dataset, None, K)
    write(found, file)
    return len(found)


def made(users: int, seed: int = 0) -> Dataset:
    """LENGTH items of each user, drawn from a long tail, in a random order of time."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(10, ITEMS + 10)
    wanted = rng.choice(ITEMS, size=(users, 2 * LENGTH), p=weights / weights.sum())
    rows = [np.unique(row, return_index=True)[1] for row in wanted]  # where each different item comes first
    parts: list[tuple[csr_matrix, np.ndarray[tuple[int], np.dtype[np.int32]]]] = []
    for begin, end in ((0, LENGTH - HELD_OUT), (LENGTH - HELD_OUT, LENGTH)):
        chosen = [row[np.sort(first)[begin:end]] for row, first in zip(wanted, rows, strict=True)]
        orders = [np.argsort(items) for items in chosen]
        indptr = np.cumsum([0, *map(len, chosen)])
        indices = np.concatenate([items[order] for items, order in zip(chosen, orders, strict=True)])
        shape = (users, ITEMS)
        matrix = csr_matrix((np.ones(len(indices), np.float32), indices.astype(np.int32), indptr), shape=shape)
        parts.append((matrix, np.concatenate(orders).astype(np.int32)))
    (train, train_rank), (valid, valid_rank) = parts
    names = np.arange(max(users, ITEMS)).astype(str)
    return Dataset(train, valid, train_rank, valid_rank, names[:users], names[:ITEMS], digest="made")
