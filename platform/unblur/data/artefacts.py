"""Artefacts: arrays learned once from the data, such as item embeddings, that all trainings on them share.

A model names those that its Config needs (`Recommender.artefacts`) and finds them in `Dataset.artefacts` when it is set
up. Whoever trains it makes them before: an experiment once for all its trainings, the training loop where none has.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import svds

from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.provenance import TRAINING

Array = NDArray[Any]
Train = Callable[[str, dict[str, Any], int, int], Any]
"""Trains the model of that name with those parameters for so many epochs from a seed, on the data at hand."""
DIMS, LIGHT_GCN_EPOCHS = 64, 20


class Artefact(Protocol):
    """A recipe for an array; frozen, so that equal recipes are one."""

    @property
    def name(self) -> str:
        """By which `Dataset.artefacts` knows it."""

    @property
    def by_chance(self) -> bool:
        """Whether another seed makes something else of the same data."""

    def ingredients(self) -> dict[str, Any]:
        """All that decides what is made beside the data and the seed, as JSON; UserError when it cannot be read."""

    def make(self, dataset: Dataset, seed: int, train: Train) -> Array:
        """The array."""


def address(artefact: Artefact, digest: str, seed: int) -> str:
    """The content address: a hash of the data's digest, the recipe and the seed."""
    what = {"data": digest, "name": artefact.name, "seed": seed, "training": TRAINING, **artefact.ingredients()}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class ItemEmbeddings:
    """Embeddings (n_items, d) of items: `svd` or `lightgcn` of the train interactions, or the path of a .npy file."""

    source: str

    @property
    def name(self) -> str:
        return f"item_embeddings:{self.source}"

    @property
    def by_chance(self) -> bool:
        return self.source == "lightgcn"

    def ingredients(self) -> dict[str, Any]:
        """The dimensions and epochs, or the digest of the file: other bytes under its name are other embeddings."""
        if self.source in ("svd", "lightgcn"):
            return {"dims": DIMS, "epochs": LIGHT_GCN_EPOCHS}
        try:
            return {"file": hashlib.sha256(Path(self.source).read_bytes()).hexdigest()}
        except OSError as error:
            raise self._unreadable(error) from None

    def make(self, dataset: Dataset, seed: int, train: Train) -> Array:
        if self.source == "svd":
            return _svd(dataset, seed)
        if self.source == "lightgcn":
            return np.asarray(
                train("lightgcn", {"dim": DIMS}, LIGHT_GCN_EPOCHS, seed).embeddings()[1].detach().cpu().numpy()
            )
        return self._load(dataset.n_items)

    def _load(self, n_items: int) -> Array:
        try:
            embeddings = np.load(self.source, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from None
        if embeddings.ndim != 2 or len(embeddings) != n_items or not np.isfinite(embeddings).all():
            found = f"found {embeddings.shape}"
            raise UserError(f"item_embeddings = {self.source}: expected {n_items} finite rows, {found}")
        return np.asarray(embeddings, dtype=np.float32)

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(f"item_embeddings = {self.source}: expected svd, lightgcn or a readable .npy file: {error}")


def _svd(dataset: Dataset, seed: int) -> Array:
    """The right singular vectors of D_users^-1/2 X D_items^-1/2, as long as their singular values: GF-CF's factors."""
    x = dataset.train
    users, items = (np.maximum(np.asarray(x.sum(axis=axis)).ravel(), 1) for axis in (1, 0))
    normalized = (diags_array(users**-0.5) @ x @ diags_array(items**-0.5)).tocsr()
    _, s, v = svds(normalized, k=min(DIMS, min(x.shape) - 1), rng=np.random.default_rng(seed))
    return np.asarray((v * s[:, None]).T, dtype=np.float32)
