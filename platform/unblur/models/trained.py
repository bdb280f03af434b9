"""What the baselines trained by gradient share: seeded weights, AdamW, and one way to be stored."""

from abc import abstractmethod
from pathlib import Path
from typing import Self, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from unblur.errors import UserError
from unblur.models.base import TrainableConfig, TrainableRecommender
from unblur.models.files import load_model, save_model
from unblur.models.recency import RecencyConfig


class OptimizerConfig(TrainableConfig):
    """How every such model is trained."""

    lr: float = Field(1e-3, gt=0)
    """Learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay."""
    batch_size: int = Field(500, ge=1)
    """Examples per step, over all workers."""


class TrainedConfig(RecencyConfig, OptimizerConfig):
    """... and of those that can weigh interactions by their age."""


C = TypeVar("C", bound=OptimizerConfig)


class Trained(TrainableRecommender[C]):
    """A model whose parameters `build` makes, from the model's seed."""

    def __init__(self, config: C, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.build()

    @abstractmethod
    def build(self) -> None:
        """Make the parameters; called once."""

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay, fused=True
        )

    def stored(self) -> dict[str, Tensor]:
        """What `save` keeps: all that `score` needs, under the parameters' names."""
        return self.state_dict()

    def save(self, folder: Path) -> None:
        extra = {"n_users": self.n_users, "n_items": self.n_items, "seed": self.seed}
        save_model(folder, self.config, self.stored(), extra)

    @classmethod
    def load(cls, folder: Path) -> Self:
        config, tensors, extra = load_model(folder, cls.config_class)
        try:
            model = cls(config, **extra)  # type: ignore[arg-type]  # config_class is the C of each model
            model.load_state_dict(tensors)
        except (RuntimeError, TypeError) as error:
            raise UserError(f"{folder} holds another kind of model: {error}; train it again") from error
        return model.eval()
