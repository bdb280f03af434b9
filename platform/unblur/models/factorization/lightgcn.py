"""LightGCN (He et al. 2020): embeddings smoothed over the graph of users and items, trained with BPR's loss."""

from typing import Any

import numpy as np
import torch
from pydantic import Field
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from unblur.data.dataset import Dataset
from unblur.models.base import Operations
from unblur.models.factorization._pairwise import Pairwise, PairwiseConfig
from unblur.nn.sparse import from_scipy, project

Graph = tuple[Tensor, Tensor]
"""The normalised interactions and their transpose, sparse CSR: (n_users, n_items) and (n_items, n_users)."""


class Config(PairwiseConfig):
    """The paper's settings, with larger batches: the whole graph is propagated over once per step."""

    layers: int = Field(3, ge=1)
    """Propagations."""


class Model(Pairwise[Config]):
    """The mean of the embeddings after 0 .. layers propagations (eq. 7-8).

    The smoothed embeddings are what is saved: a loaded model needs no graph.
    """

    config_class = Config
    graph: Graph | None = None

    def setup(self, dataset: Dataset) -> None:
        x = self.config.weigh(dataset.history())
        users, items = (np.maximum(np.asarray(x.sum(axis=axis)).ravel(), 1e-12) for axis in (1, 0))
        r = csr_matrix(diags_array(users**-0.5) @ x @ diags_array(items**-0.5))
        self.graph = from_scipy(r, self.device), from_scipy(csr_matrix(r.T), self.device)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        if self.graph is None:
            return self.users, self.items
        smoothed: tuple[Tensor, Tensor] = _Smooth.apply(  # type: ignore[no-untyped-call]
            self.users, self.items, self.graph, self.config.layers
        )
        return smoothed

    def stored(self) -> dict[str, Tensor]:
        return dict(zip(("users", "items"), self.final(), strict=True))

    def footprint(self, dataset: Dataset) -> int:
        """A pairwise model, the graph and its transpose, and six sets of embeddings while they are smoothed."""
        embeddings = 4 * self.config.dim * (self.n_users + self.n_items)
        return super().footprint(dataset) + 2 * 12 * int(dataset.train.nnz) + 6 * embeddings

    def operations(self, dataset: Dataset) -> Operations:
        """A pairwise model's, and in each step every layer forwards and backwards over both sides of the graph."""
        interactions = int(dataset.train.nnz)
        steps = -(-interactions // self.config.batch_size)
        smoothing = 6.0 * self.config.layers * interactions * self.config.dim * steps
        return Operations(smoothing, super().operations(dataset).elements)


class _Smooth(torch.autograd.Function):
    """(1 / (L+1)) sum_l A^l E with A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2 (eq. 8).

    The operator is symmetric, so its backward pass is itself, and nothing is kept from the forward pass.
    """

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, graph: Graph, layers: int) -> tuple[Tensor, Tensor]:
        ctx.graph, ctx.layers = graph, layers
        return smooth(users, items, graph, layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *smooth(gradients[0], gradients[1], ctx.graph, ctx.layers), None, None


def smooth(users: Tensor, items: Tensor, graph: Graph, layers: int) -> tuple[Tensor, Tensor]:
    """The mean of (users, items) and their `layers` propagations."""
    by_user, by_item = graph
    total = users.clone(), items.clone()
    for _ in range(layers):
        users, items = project(by_user, items.contiguous()), project(by_item, users.contiguous())
        total[0].add_(users)
        total[1].add_(items)
    return total[0] / (layers + 1), total[1] / (layers + 1)
