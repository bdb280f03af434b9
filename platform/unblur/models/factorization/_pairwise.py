"""What models of user and item embeddings share: the pairwise loss of BPR, its batches, and inner products."""

from collections.abc import Iterator
from typing import NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.models.base import RANKING_BYTES, Batch, Operations
from unblur.models.batching import epoch_rng, shares
from unblur.models.trained import Trained, TrainedConfig

Ids = NDArray[np.int64]


class PairwiseConfig(TrainedConfig):
    """Parameters of every such model. Recency weighs the interactions' losses."""

    lr: float = Field(5e-3, gt=0)
    """Learning rate: above the papers' 1e-3, as the batches are larger."""
    batch_size: int = Field(8192, ge=1)
    """Interactions per step, over all workers."""
    dim: int = Field(64, ge=1)
    """Size of the embeddings."""
    l2: float = Field(1e-4, ge=0)
    """Penalty on the squared length of the embeddings that an example touches (lambda)."""


class Triples(NamedTuple):
    """b examples: the user has `positive` and does not have `negative`."""

    users: Tensor
    positive: Tensor
    negative: Tensor
    weight: Tensor


C = TypeVar("C", bound=PairwiseConfig)


class Pairwise(Trained[C]):
    """Scores are inner products. A user who is not in train has a random embedding: the history is not looked at."""

    KNOWN_USERS_ONLY = True

    def build(self) -> None:
        self.users = nn.Parameter(0.1 * torch.randn(self.n_users, self.config.dim))
        self.items = nn.Parameter(0.1 * torch.randn(self.n_items, self.config.dim))
        self._final: tuple[Tensor, Tensor] | None = None

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """What scores are made of: (n_users, dim) and (n_items, dim), from the parameters."""
        return self.users, self.items

    def final(self) -> tuple[Tensor, Tensor]:
        """`embeddings`, computed once for an evaluation."""
        if self._final is None:
            with torch.no_grad():
                self._final = self.embeddings()
        return self._final

    def train(self, mode: bool = True) -> Self:
        self._final = None  # they belong to the weights of one evaluation
        return super().train(mode)

    def forward(self, examples: Triples) -> Tensor:
        """-log sigmoid(score_positive - score_negative) (b,) and the penalty (Rendle et al. 2009, section 4.1)."""
        users, items = self.embeddings()
        difference = F.embedding(examples.positive, items) - F.embedding(examples.negative, items)
        margin = (F.embedding(examples.users, users) * difference).sum(-1)
        return examples.weight * F.softplus(-margin) + self.config.l2 * self._penalty(examples)

    def _penalty(self, examples: Triples) -> Tensor:
        """Half the squared lengths (b,) of the parameters, not of what is made of them."""
        squared_users, squared_items = self.users.square().sum(-1), self.items.square().sum(-1)
        return (squared_users[examples.users] + squared_items[examples.positive] + squared_items[examples.negative]) / 2

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        matrix = self.config.weigh(dataset.history())
        rng = epoch_rng(self.seed, epoch)
        users, negative = sample_negatives(dataset.train, rng)
        usable = np.flatnonzero(negative >= 0)
        columns = [torch.from_numpy(c).to(self.device) for c in (users, matrix.indices.astype(np.int64), negative)]
        columns.append(torch.from_numpy(matrix.data).to(self.device))
        for share in shares(usable, self.config.batch_size, rng, epoch, rank, world):
            rows = torch.from_numpy(share.rows).to(self.device)
            yield Batch(Triples(*(column[rows] for column in columns)), share.size)

    @torch.inference_mode()
    def score(self, history: History, users: Ids) -> Tensor:
        user_embeddings, item_embeddings = self.final()
        return user_embeddings[torch.tensor(users, device=self.device)] @ item_embeddings.T

    def footprint(self, dataset: Dataset) -> int:
        """What training keeps of the weights, a dozen vectors per example, an epoch's examples; and ranking."""
        examples = 4 * 12 * self.config.batch_size * self.config.dim + 128 * int(dataset.train.nnz)
        return self.weight_bytes + examples + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """Three embeddings per interaction, forwards and backwards, and AdamW over all of them in each step."""
        interactions = int(dataset.train.nnz)
        steps = -(-interactions // self.config.batch_size)
        return Operations(elements=1.5 * interactions * self.config.dim + 0.4 * steps * self.parameter_count)


def sample_negatives(train: csr_matrix, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """The user of each interaction (nnz,), and an item (nnz,) uniform among those the user does not have.

    -1 for users who have all. Exact, without rejection: the j-th item (sorted) of a user has `item - j` free items
    below it, so that the r-th free item is r plus the number of the user's items with `item - j <= r`.
    """
    n_items, lengths = train.shape[1], np.diff(train.indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    free = n_items - lengths[users]
    r = rng.integers(0, np.maximum(free, 1))
    free_below = train.indices - (np.arange(train.nnz) - train.indptr[users])
    # users' keys do not overlap, so that one search serves all
    keys = users * (n_items + 1)
    negative = r + np.searchsorted(keys + free_below, keys + r, side="right") - train.indptr[users]
    return users, np.where(free > 0, negative, -1)
