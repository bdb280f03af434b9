"""Embeddings of items, learned from the interactions before a training or read from a file."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import svds

from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.models.factorization import lightgcn

DIMS = 64
LIGHT_GCN_EPOCHS = 20


def item_embeddings(dataset: Dataset, source: str, seed: int) -> NDArray[np.float32]:
    """Embeddings (n_items, d): `svd` or `lightgcn` of the train interactions, or the path of a .npy file."""
    if source == "svd":
        return _svd(dataset, seed)
    if source == "lightgcn":
        return _lightgcn(dataset, seed)
    try:
        embeddings = np.load(source, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"item_embeddings = {source}: not svd, lightgcn or a readable .npy file: {error}") from None
    if embeddings.ndim != 2 or len(embeddings) != dataset.n_items or not np.isfinite(embeddings).all():
        raise UserError(f"item_embeddings = {source}: expected {dataset.n_items} finite rows, found {embeddings.shape}")
    return np.asarray(embeddings, dtype=np.float32)


def _svd(dataset: Dataset, seed: int) -> NDArray[np.float32]:
    """The right singular vectors of D_users^-1/2 X D_items^-1/2, as long as their singular values: GF-CF's factors."""
    x = dataset.train
    users, items = (np.maximum(np.asarray(x.sum(axis=axis)).ravel(), 1) for axis in (1, 0))
    normalized = (diags_array(users**-0.5) @ x @ diags_array(items**-0.5)).tocsr()
    _, s, v = svds(normalized, k=min(DIMS, min(x.shape) - 1), rng=np.random.default_rng(seed))
    return np.asarray((v * s[:, None]).T, dtype=np.float32)


def _lightgcn(dataset: Dataset, seed: int) -> NDArray[np.float32]:
    """A LightGCN's item embeddings after some epochs."""
    model = lightgcn.Model(lightgcn.Config(dim=DIMS), dataset.n_users, dataset.n_items, seed)
    model.setup(dataset)
    optimizer = model.optimizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(LIGHT_GCN_EPOCHS):
            for batch in model.batches(dataset, epoch):
                optimizer.zero_grad(set_to_none=True)
                (model(batch.examples).sum() / batch.size).backward()
                optimizer.step()
    with torch.no_grad():
        return np.asarray(model.embeddings()[1].numpy(), dtype=np.float32)
