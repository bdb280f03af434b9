"""The expert of a diffusion recommender: a closed-form matrix over pairs of items, learned once for all trainings."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import model_validator
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur import models
from unblur.data.artefacts import Array, Train
from unblur.data.dataset import Dataset, History
from unblur.diffusion.expert import Opinion
from unblur.models.base import Recommender
from unblur.models.closed_form._linear import ItemItem
from unblur.models.closed_form._named import Named
from unblur.nn.sparse import from_scipy


class ExpertConfig(Named):
    """`slist`, or `{model: slist, params: {l2: 20}}`."""

    ROLE = "an expert: only models that are a matrix over pairs of items"

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @classmethod
    def admits(cls, known: type[Recommender[Any]]) -> bool:
        return issubclass(known, ItemItem) and known.score is ItemItem.score


@dataclass(frozen=True)
class ExpertMatrix:
    """The artefact: float32 (n_items, n_items), row = what a user has."""

    model: str
    params: str
    """All of them, as JSON."""

    @classmethod
    def of(cls, expert: ExpertConfig) -> "ExpertMatrix":
        return cls(expert.model, json.dumps(expert.config().model_dump(mode="json"), sort_keys=True))

    @property
    def name(self) -> str:
        return f"expert:{self.model}:{hashlib.sha256(self.params.encode()).hexdigest()[:16]}"

    @property
    def by_chance(self) -> bool:
        return models.model_class(self.model).RANDOM

    def ingredients(self) -> dict[str, Any]:
        return {"params": self.params}

    def make(self, dataset: Dataset, seed: int, train: Train) -> Array:
        matrix = train(self.model, json.loads(self.params), 1, seed).matrix
        return np.asarray(matrix.toarray() if isinstance(matrix, csr_matrix) else matrix, dtype=np.float32)


class LinearExpert:
    """Scores c B, each user's standardised; c are histories as the expert's own Config weighs them."""

    def __init__(self, expert: ExpertConfig, matrix: Tensor) -> None:
        self.config, self.matrix = expert.config(), matrix

    def opinion(self, history: History, device: torch.device) -> Opinion:
        """Of the users with these histories."""
        self.matrix = self.matrix.to(device)
        return Opinion.of(from_scipy(self.config.weigh(history), device), self.matrix)
