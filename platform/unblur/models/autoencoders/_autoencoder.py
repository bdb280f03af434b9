"""What models that learn to complete a user's history share: batches, corruption of the input, layers, likelihood."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.models.base import Batch
from unblur.models.batching import epoch_rng, shares
from unblur.models.trained import Trained, TrainedConfig
from unblur.nn.sparse import from_scipy, is_sparse, normalized, project, with_values

BIAS_STD = 0.001


class AutoencoderConfig(TrainedConfig):
    """Parameters of every autoencoder of histories."""

    dims: tuple[int, ...] = Field((200, 600), min_length=1)
    """Hidden sizes from the middle outwards: [200, 600] means n_items -> 600 -> 200 -> 600 -> n_items."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Probability that training hides an item of the input."""
    normalize: bool = True
    """Scale the input rows to length 1."""


class Histories(NamedTuple):
    """b users' histories, as `forward` takes them."""

    rows: Tensor
    """Recency-weighted interactions (b, n_items), sparse CSR."""
    users: Tensor
    """Whose they are (b,)."""
    update: int
    """The number of steps before this one: what schedules go by, so that a resumed training needs no counter."""


C = TypeVar("C", bound=AutoencoderConfig)


class Autoencoder(Trained[C]):
    """Scores come from the history (and, in some, from the user); training reconstructs it from a corrupted one."""

    @abstractmethod
    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        """Scores or logits (b, n_items) from histories (b, n_items), corrupted only in training, and users (b,)."""

    def forward(self, examples: Histories) -> Tensor:
        return multinomial_loss(self.predict(examples.rows, examples.users), examples.rows)

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        matrix = self.config.weigh(dataset.history())
        users = np.flatnonzero(np.diff(matrix.indptr))
        rng = epoch_rng(self.seed, epoch)
        for share in shares(users, self.config.batch_size, rng, epoch, rank, world):
            ids = torch.from_numpy(share.rows).to(self.device)
            rows = from_scipy(matrix[share.rows], self.device)
            yield Batch(Histories(rows, ids, share.update), share.size)

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows = from_scipy(self.config.weigh(history), self.device)
        return self.predict(rows, torch.tensor(users, device=self.device))

    def corrupted(self, rows: Tensor) -> Tensor:
        """The network's input: scaled to length 1 if so configured, then, in training, with items dropped out."""
        x = normalized(rows) if self.config.normalize else rows
        if not is_sparse(x):
            return F.dropout(x, self.config.dropout, self.training)
        return with_values(x, F.dropout(x.values(), self.config.dropout, self.training))


class InputLayer(nn.Module):
    """x @ weight + bias, where x (b, n_in) may be sparse: the weight is stored (n_in, n_out), as `project` takes it."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_in, n_out)))
        self.bias = nn.Parameter(nn.init.normal_(torch.empty(n_out), 0.0, BIAS_STD))

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self.weight) + self.bias


def perceptron(widths: Sequence[int], activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Linear layers of these widths with an activation between them, none at the end; the input may be sparse."""
    layers: list[nn.Module] = [InputLayer(widths[0], widths[1])]
    for n_in, n_out in pairwise(widths[1:]):
        layers += [activation(), dense_layer(n_in, n_out)]
    return nn.Sequential(*layers)


def dense_layer(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer with Multi-VAE's initialisation (Glorot, and small biases)."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_normal_(layer.weight)
    nn.init.normal_(layer.bias, 0.0, BIAS_STD)
    return layer


def multinomial_loss(logits: Tensor, rows: Tensor) -> Tensor:
    """-sum_i x_i log softmax(logits)_i (b,) of sparse rows x (b, n) (Liang et al. 2018, eq. 2)."""
    return -(rows.to_dense() * F.log_softmax(logits, dim=-1)).sum(-1)
