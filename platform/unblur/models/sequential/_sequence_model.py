"""What models have in common that read a history in its order, and are asked for items at places of it."""

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
from unblur.models.batching import epoch_rng, shares
from unblur.models.trained import OptimizerConfig, Trained
from unblur.nn import item_losses
from unblur.nn.full_softmax import BLOCK_BYTES
from unblur.nn.history_transformer import MAP_COPIES, PLACE_VECTORS, by_length
from unblur.nn.onednn import linear
from unblur.parts import ORDER
from unblur.registry import functions, known

Ids = NDArray[np.int64]

LOSSES = functions("loss", item_losses.__name__)
ROWS = 256  # histories read at once when scoring


class SequenceConfig(OptimizerConfig):
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
    blocks: int = Field(1, ge=1)
    """Layers of the network, one on the other."""

    @property
    def attention(self) -> int:
        """How many attention weights each place has over all layers, for the forecast."""
        return 0


class Window(NamedTuple):
    """Some of a batch's windows: what is read (b, L), and at each place what is asked for (b, L), n_items being
    nothing."""

    items: Tensor
    targets: Tensor


C = TypeVar("C", bound=SequenceConfig)


class SequenceModel(Trained[C]):
    """Scores are inner products of `table` with what is known of a user.

    Items are ids (b, L) int64 from 0, padded on the left with n_items; what is read may hold ids beyond that.
    """

    def build(self) -> None:
        self.items = nn.Parameter(0.02 * torch.randn(self.n_items, self.config.dim))
        self.encoder = self.make_encoder()

    @abstractmethod
    def make_encoder(self) -> nn.Module:
        """A network from embeddings (b, L, dim) and `real`, bool (b, L), to (b, L, dim)."""

    @abstractmethod
    def known(self, items: Tensor) -> Tensor:
        """What is known of users (b, d) at the end of their histories (b, L)."""

    @abstractmethod
    def examples(self, items: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """What is read of windows (b, up to room + 1), and what is asked for at each place of it."""

    @property
    def room(self) -> int:
        """How many items of a history there is room for, beside the one that is asked for."""
        return self.config.max_length

    @property
    def asked(self) -> float:
        """Share of the places at which something is asked for, for the forecast."""
        return 1.0

    @property
    def table(self) -> Tensor:
        """What scores are inner products with (n_items, d)."""
        return self.items

    def embedded(self, items: Tensor) -> Tensor:
        """(b, L, dim), 0 where there is padding."""
        return F.embedding(items.clamp(max=self.n_items - 1), self.items) * (items != self.n_items).unsqueeze(-1)

    def encode(self, items: Tensor) -> Tensor:
        """What the network makes of each place (b, L, dim)."""
        hidden: Tensor = self.encoder(self.embedded(items), items != self.n_items)
        return hidden

    def decode(self, hidden: Tensor) -> Tensor:
        """What is known (n, d) at places at which something is asked for (n, dim)."""
        return hidden

    def forward(self, examples: Sequence[Window]) -> Tensor:
        """The loss of each target (n,), window after window."""
        real = [window.targets < self.n_items for window in examples]
        hidden = torch.cat([self.encode(window.items)[r] for window, r in zip(examples, real, strict=True)])
        targets = torch.cat([window.targets[r] for window, r in zip(examples, real, strict=True)])
        settings = item_losses.Settings(self.config.negatives, self.config.calibration)
        losses: Tensor = LOSSES.get(self.config.loss)(self.decode(hidden), self.table, targets, settings)
        return losses

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """What is asked for is drawn for a whole batch, so that its share of a worker is the same on all of them."""
        windows, _ = dataset.history().in_order().windows(self.room)
        rng = epoch_rng(self.seed, epoch)
        for share in shares(np.arange(len(windows.ends)), self.config.batch_size, rng, epoch, rank, world):
            chosen = windows.rows(share.whole)
            padded, _ = chosen.padded(int(chosen.lengths.max(initial=2)))
            items, targets = map(torch.from_numpy, self.examples(padded, rng))
            yield Batch(self._windows(items[rank::world], targets[rank::world]), int((targets < self.n_items).sum()))

    def _windows(self, items: Tensor, targets: Tensor) -> list[Window]:
        """Those of similar length together, so that little is padding; the batch stays the random draw that it is."""
        return [
            Window(items[rows, -width:].to(self.device), targets[rows, -width:].to(self.device))
            for rows, width in by_length(items != self.n_items)
        ]

    @torch.inference_mode()
    def score(self, history: History, users: Ids) -> Tensor:
        return linear(self.newest(history), self.table)

    def newest(self, history: History) -> Tensor:
        """What is known of each user (B, d) at the end of the history; those of similar length are read together."""
        items, lengths = history.sequences(self.room)
        order = np.argsort(lengths, kind="stable")
        users = torch.empty(len(items), self.table.shape[1], device=self.device)
        for rows in np.split(order, range(ROWS, len(order), ROWS)):
            width = max(1, int(lengths[rows].max(initial=0)))
            users[torch.from_numpy(rows)] = self.known(torch.from_numpy(items[rows, -width:]).to(self.device))
        return users

    def footprint(self, dataset: Dataset) -> int:
        """What training keeps of the weights, of a batch's places, of logits or negatives; and ranking."""
        places = self.config.batch_size * self.config.max_length
        # vectors of its negatives and their gradients for each target, unless the loss says less
        drawn = self.config.negatives * getattr(LOSSES.get(self.config.loss), "KEPT", 2 * self.config.dim + 6)
        kept = self.config.dim * PLACE_VECTORS * (1 + self.config.blocks) + MAP_COPIES * self.config.attention
        of_batch = 4 * places * (kept + round(self.asked * drawn))
        return self.weight_bytes + of_batch + 2 * BLOCK_BYTES + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """The item table three times for each target, or its negatives, of which those that only one target has are
        fetched vector by vector; the layers; AdamW over all of it."""
        places = max(0, int(dataset.train.nnz) - dataset.n_users)
        against = self.n_items if self.config.loss == "cross_entropy" else self.config.negatives
        layer = 12 * self.config.dim**2
        steps = -(-dataset.n_users // self.config.batch_size)
        products = 3.0 * places * (self.asked * against * self.config.dim + self.config.blocks * layer)
        fetched = against * (1 if hasattr(LOSSES.get(self.config.loss), "KEPT") else self.config.dim)
        return Operations(products, 0.4 * steps * self.parameter_count + self.asked * places * fetched)
