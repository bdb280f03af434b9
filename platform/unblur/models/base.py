"""What every recommender promises, and the one extra promise of those that are trained by gradient."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from unblur.data.artefacts import Artefact
from unblur.data.dataset import Dataset, History
from unblur.evaluation.ranking import SCORE_BYTES


class ModelConfig(BaseModel):
    """Base of every model's Config: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    INFERENCE: ClassVar[frozenset[str]] = frozenset()
    """The fields that change scoring alone, so that one trained model can be scored with other values of them."""
    NEEDS: ClassVar[frozenset[str]] = frozenset()
    """What the data must have for the model to work at all (`models.needs.ORDER`, `RATINGS`)."""

    @classmethod
    def needs_of_choices(cls) -> dict[tuple[str, str], frozenset[str]]:
        """What the data must have for single parts, by the choosing field and the choice."""
        return {}


class TrainableConfig(ModelConfig):
    """Base of the Configs of models that the training loop trains."""

    ema: float = Field(0.0, ge=0, lt=1)
    """Decay, per step, of the running average of the weights that is evaluated and kept (Ho et al. 2020); 0 keeps the
    weights themselves."""


RANKING_BYTES = 3 * SCORE_BYTES
"""A block of scores, its masked copy and the best of it."""

C = TypeVar("C", bound=ModelConfig)
T = TypeVar("T", bound=TrainableConfig)


@dataclass(frozen=True)
class Operations:
    """Roughly what fitting in one go, or one epoch, takes: enough to tell seconds from hours beforehand."""

    products: float = 0.0
    """Multiply-adds in products of dense matrices."""
    elements: float = 0.0
    """Multiply-adds in products of sparse matrices, and whatever else, counted as so many of them as take as long:
    the coefficients were fitted to measurements on MovieLens-1M."""


class Recommender(ABC, Generic[C]):
    """A model over a fixed catalogue of `n_items` items and `n_users` users.

    Contract: a module `unblur/models/<name>.py` holds `Config` (a ModelConfig) and `Model` (a Recommender).
    After `fit` (closed form) or the training loop (`TrainableRecommender`), `score` is deterministic.
    """

    config_class: ClassVar[type[ModelConfig]]
    KNOWN_USERS_ONLY: ClassVar[bool] = False
    """Scores come from embeddings of the users that were trained on, so a history alone cannot be served."""
    DIFFUSION: ClassVar[bool] = False
    """Whether reports count it among the diffusion models or among the baselines."""
    RANDOM: ClassVar[bool] = False
    """Whether another seed may make another model; where none can, one final run is all there is."""
    UNGUIDED: ClassVar[str | None] = None
    """Of a guided model: the unguided one that it is held against."""

    def __init__(self, config: C, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__()
        self.config, self.n_users, self.n_items, self.seed = config, n_users, n_items, seed

    @classmethod
    def artefacts(cls, config: Any) -> Sequence[Artefact]:
        """What a model with this Config wants to find in `Dataset.artefacts`: learned once, shared by all trainings."""
        return ()

    def infer_with(self, settings: Mapping[str, Any]) -> None:
        """Score with other values of fields of `Config.INFERENCE` from now on; ValueError for any other field."""
        if wrong := settings.keys() - self.config.INFERENCE:
            raise ValueError(f"{', '.join(sorted(wrong))} cannot be changed without training")
        self.config = type(self.config).model_validate({**self.config.model_dump(), **settings})

    @abstractmethod
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        """Scores (B, n_items) of all items for B users given their history, on the model's device."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to `folder` (config.json and safetensors; nothing pickled)."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; raises UserError when a file is missing or damaged."""

    @abstractmethod
    def footprint(self, dataset: Dataset) -> int:
        """Estimated peak bytes that fitting and scoring take above the interpreter's own."""

    @abstractmethod
    def operations(self, dataset: Dataset) -> Operations:
        """Estimated work of fitting (closed form) or of one epoch (trained by gradient)."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """How many numbers the model has learned."""


class ClosedFormRecommender(Recommender[C]):
    """A model that is fitted in one go. The estimates are those of a dense matrix over pairs of items."""

    def footprint(self, dataset: Dataset) -> int:
        """A matrix in double precision, its copy in single precision, and the data."""
        return 12 * dataset.n_items**2 + 32 * int(dataset.train.nnz)

    def operations(self, dataset: Dataset) -> Operations:
        """A sparse product over every pair of a user's items, and the inverse of the matrix."""
        pairs = float(np.square(np.diff(dataset.train.indptr).astype(np.float64)).sum())
        return Operations(float(dataset.n_items) ** 3, pairs + 4.0 * dataset.n_items**2)

    @abstractmethod
    def fit(self, dataset: Dataset) -> None:
        """Learn from `split.train`."""


@dataclass(frozen=True)
class Batch:
    """One rank's share of a training batch: whatever the model's `forward` needs, and the size of the whole.

    `size` counts the examples over all ranks: the loop divides the summed losses by it, so that any number of
    workers takes the same step.
    """

    examples: Any
    size: int


class TrainableRecommender(Recommender[T], nn.Module):
    """A model that the training loop trains by gradient. `forward(examples) -> (b,) losses`, one per example."""

    RANDOM = True

    @abstractmethod
    def forward(self, examples: Any) -> Tensor:
        """Per-example training losses (b,) of one rank's share of a batch."""

    @abstractmethod
    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """The epoch's batches, the same on every run with this seed; each is cut into `world` shares."""

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """A new optimiser over the model's parameters."""

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def weight_bytes(self) -> int:
        """Weights, gradients, two moments, the best copy, and the running average where there is one."""
        return 4 * (6 if self.config.ema else 5) * self.parameter_count

    def footprint(self, dataset: Dataset) -> int:
        """What training keeps of the weights, eight dense batches, a sparse copy of the data; and a block to rank."""
        rows = getattr(self.config, "batch_size", dataset.n_users)
        dense_batches = 8 * rows * (self.n_items + sum(getattr(self.config, "dims", ())))
        return self.weight_bytes + 4 * (dense_batches + 6 * int(dataset.train.nnz)) + RANKING_BYTES

    def operations(self, dataset: Dataset) -> Operations:
        """Two or three products per layer and user, forwards and backwards; AdamW visits all weights in each step."""
        steps = -(-dataset.n_users // max(1, getattr(self.config, "batch_size", dataset.n_users)))
        weights = self.parameter_count
        return Operations(
            2.5 * weights * dataset.n_users, 0.2 * weights * steps + 1.5 * dataset.n_users * dataset.n_items
        )

    def setup(self, dataset: Dataset) -> None:
        """Called once before training: whatever the model learns of the data without gradients."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device
