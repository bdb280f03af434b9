"""What models have in common that predict the next item at every place of a sequence."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.models.base import RANKING_BYTES, Batch, Operations
from unblur.models.batching import epoch_rng
from unblur.models.sequential._windows import Windows
from unblur.models.trained import OptimizerConfig, Trained
from unblur.nn import item_losses
from unblur.nn.full_softmax import BLOCK_BYTES
from unblur.nn.history_transformer import MAP_COPIES, PLACE_VECTORS
from unblur.nn.onednn import linear
from unblur.parts import ORDER
from unblur.registry import functions, known

Ids = NDArray[np.int64]

LOSSES = functions("loss", item_losses.__name__)
ROWS = 256  # histories read at once when scoring


class NextItemConfig(OptimizerConfig):
    """Parameters of every such model."""

    NEEDS = frozenset({ORDER})

    batch_size: int = Field(256, ge=1)
    """Windows per step, over all workers: a window is a user's history or, of a long one, a part of it."""
    dim: int = Field(64, ge=1)
    """Size of the item embeddings and of all layers."""
    max_length: int = Field(50, ge=1)
    """Newest items of a history that are read, and length of the windows."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Share of numbers dropped, of the embeddings and in every layer."""
    loss: Annotated[str, known(LOSSES)] = "cross_entropy"
    """cross_entropy over all items, sampled_softmax, bce or gbce."""
    negatives: int = Field(256, ge=1)
    """Negatives of each target (bce, gbce), or of each batch (sampled_softmax)."""
    calibration: float = Field(0.75, ge=0, le=1)
    """t of gbce: 0 is plain BCE, 1 makes its scores probabilities."""


class Window(NamedTuple):
    """Some of a batch's windows: inputs (b, L) and, at each place, what comes next (b, L); padded on the left."""

    items: Tensor
    targets: Tensor


C = TypeVar("C", bound=NextItemConfig)


class NextItem(Trained[C]):
    """Scores are inner products of the item embeddings with what `encode` makes of a history's newest place."""

    def build(self) -> None:
        self.items = nn.Parameter(0.02 * torch.randn(self.n_items, self.config.dim))
        self.encoder = self.make_encoder()

    @abstractmethod
    def make_encoder(self) -> nn.Module:
        """A network from embeddings (b, L, dim) and `real`, bool (b, L), to (b, L, dim); it never looks ahead."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """How many layers the network has, for the forecast."""

    @property
    def attention(self) -> int:
        """How many attention weights each place has over all layers, for the forecast."""
        return 0

    def encode(self, items: Tensor) -> Tensor:
        """What is known of the user at each place (b, L, dim), of items (b, L) padded on the left with n_items."""
        real = items < self.n_items
        embedded = F.embedding(items.clamp(max=self.n_items - 1), self.items) * real.unsqueeze(-1)
        hidden: Tensor = self.encoder(embedded, real)
        return hidden

    def forward(self, examples: Sequence[Window]) -> Tensor:
        """The loss of each target (n,), window after window."""
        real = [window.targets < self.n_items for window in examples]
        hidden = torch.cat([self.encode(window.items)[r] for window, r in zip(examples, real, strict=True)])
        targets = torch.cat([window.targets[r] for window, r in zip(examples, real, strict=True)])
        settings = item_losses.Settings(self.config.negatives, self.config.calibration)
        losses: Tensor = LOSSES.get(self.config.loss)(hidden, self.items, targets, settings)
        return losses

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        windows = Windows.cut(dataset.history().in_order(), self.config.max_length)
        for rows in windows.batches(self.config.batch_size, epoch_rng(self.seed, epoch)):
            buckets = [windows.padded(bucket) for bucket in windows.buckets(rows[rank::world])]
            examples = [Window(*(torch.from_numpy(each).to(self.device) for each in padded)) for padded in buckets]
            yield Batch(examples, int(windows.targets[rows].sum()))

    @torch.inference_mode()
    def score(self, history: History, users: Ids) -> Tensor:
        return linear(self.newest(history), self.items)

    def newest(self, history: History) -> Tensor:
        """What is known of each user (B, dim) at the end of the history; those of similar length are read together."""
        items, lengths = history.sequences(self.config.max_length)
        order = np.argsort(lengths, kind="stable")
        users = torch.empty(len(items), self.config.dim, device=self.device)
        for rows in np.split(order, range(ROWS, len(order), ROWS)):
            width = max(1, int(lengths[rows].max(initial=0)))
            users[torch.from_numpy(rows)] = self.encode(torch.from_numpy(items[rows, -width:]).to(self.device))[:, -1]
        return users

    def footprint(self, dataset: Dataset) -> int:
        """What training keeps of the weights, of a batch's places, of logits or negatives; and ranking."""
        places = self.config.batch_size * self.config.max_length
        drawn = 0 if self.config.loss == "cross_entropy" else self.config.negatives * (self.config.dim + 4)
        kept = self.config.dim * PLACE_VECTORS * (1 + self.layers) + MAP_COPIES * self.attention
        of_batch = 4 * places * (kept + drawn)
        return self.weight_bytes + of_batch + 2 * BLOCK_BYTES + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """The item table three times for each target, or its negatives; the layers; AdamW over all of it."""
        targets = max(0, int(dataset.train.nnz) - dataset.n_users)
        against = self.n_items if self.config.loss == "cross_entropy" else self.config.negatives
        layer = 12 * self.config.dim**2
        steps = -(-dataset.n_users // self.config.batch_size)
        products = targets * (3.0 * against * self.config.dim + 3 * self.layers * layer)
        return Operations(products, 0.4 * steps * self.parameter_count + 1.0 * targets * against)
