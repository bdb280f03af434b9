"""A model trained by gradient as a part of one in closed form: trained beforehand, once for all that share it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor

from unblur import models
from unblur.data.artefacts import Array, Train
from unblur.data.dataset import Dataset, History
from unblur.models.base import ModelConfig, Operations
from unblur.models.closed_form._linear import Stored
from unblur.models.files import WEIGHTS, save_model
from unblur.seeds import derive


@dataclass(frozen=True)
class TrainedModel:
    """The artefact: uint8 (n,), the weights' file of a model that was trained for so many epochs."""

    model: str
    params: str
    """All of them, as JSON."""
    epochs: int
    member: int
    """Which one of those that differ by chance alone; 0 has the seed that all artefacts have."""

    @classmethod
    def of(cls, model: str, config: ModelConfig, epochs: int, member: int = 0) -> "TrainedModel":
        return cls(model, json.dumps(config.model_dump(mode="json"), sort_keys=True), epochs, member)

    @property
    def name(self) -> str:
        params = hashlib.sha256(self.params.encode()).hexdigest()[:16]
        return f"trained:{self.model}:{self.epochs}:{params}" + (f":{self.member}" if self.member else "")

    @property
    def by_chance(self) -> bool:
        return True

    def ingredients(self) -> dict[str, Any]:
        return {"params": self.params, "epochs": self.epochs}

    def make(self, dataset: Dataset, seed: int, train: Train) -> Array:
        with TemporaryDirectory() as folder:
            own = derive("member", seed, self.member) if self.member else seed
            train(self.model, json.loads(self.params), self.epochs, own).save(Path(folder))
            return np.fromfile(Path(folder) / WEIGHTS, dtype=np.uint8)


class TrainedPart(Stored[ModelConfig]):
    """Such a model: what it stores are the tensors that it would save."""

    def __init__(self, artefact: TrainedModel, config: ModelConfig, n_users: int, n_items: int, seed: int) -> None:
        super().__init__(config, n_users, n_items, seed)
        self.artefact, self.stored = artefact, dict[str, Tensor]()
        self.model = models.model_class(artefact.model)(config, n_users, n_items, seed)

    def fit(self, dataset: Dataset) -> None:
        self.restore(load(dataset.artefacts[self.artefact.name].tobytes()))

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        return self.model.score(history, users)

    def tensors(self) -> dict[str, Tensor]:
        return self.stored

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.stored = dict(tensors)
        extra = {"n_users": self.n_users, "n_items": self.n_items, "seed": self.seed}
        with TemporaryDirectory() as folder:
            save_model(Path(folder), self.config, self.stored, extra)
            self.model = type(self.model).load(Path(folder))

    def footprint(self, dataset: Dataset) -> int:
        """That of the training, which comes first."""
        return self.model.footprint(dataset)

    def operations(self, dataset: Dataset) -> Operations:
        """None: it is trained before."""
        return Operations()
