"""Blend: the weighted sum of some models' scores, each standardised per user; of one model's seeds, an ensemble."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from unblur import models
from unblur.data.artefacts import Artefact
from unblur.data.dataset import Dataset, History
from unblur.models.base import ModelConfig, Operations, Recommender
from unblur.models.closed_form._linear import Stored, under
from unblur.models.closed_form._named import Named
from unblur.models.closed_form._trained_part import TrainedModel, TrainedPart
from unblur.nn.sparse import TINY
from unblur.parts import BEST


class Part(Named):
    """One model of a blend: one in closed form, or one trained by gradient for a number of epochs."""

    ROLE = "a part of a blend: only models that know a user by the history, and no other blend"

    epochs: int | None = Field(None, ge=1)
    """Of a model trained by gradient, how many: what its own study found best; left out with `params: best`. It is
    trained beforehand, once for all trials, and once more for each further seed of the final runs."""
    member: int = Field(0, ge=0)
    """Of a model trained by gradient: parts that differ in this number alone are trainings from different seeds."""

    @classmethod
    def admits(cls, known: type[Recommender[Any]]) -> bool:
        return not known.KNOWN_USERS_ONLY and known.__module__ != __name__  # a blend of blends is a blend

    @model_validator(mode="after")
    def _epochs_if_it_has_any(self) -> Self:
        by_gradient = models.trained_by_gradient(self.model)
        if by_gradient and self.epochs is None and self.params != BEST:
            raise ValueError(f"{self.model} is trained by gradient; say for how many epochs, as its own study found")
        if self.epochs is not None and not by_gradient:
            raise ValueError(f"{self.model} is fitted in one go; leave epochs out")
        if self.member and not by_gradient:
            raise ValueError(f"{self.model} is fitted in one go, by no chance; leave member out")
        return self

    @property
    def trained(self) -> TrainedModel | None:
        """What is to be trained beforehand; None of a model in closed form."""
        return None if self.epochs is None else TrainedModel.of(self.model, self.config(), self.epochs, self.member)

    @property
    def artefacts(self) -> Sequence[Artefact]:
        """What it wants to find beforehand."""
        trained = self.trained
        return models.model_class(self.model).artefacts(self.config()) if trained is None else [trained]


class Config(ModelConfig):
    INFERENCE = frozenset({"weights"})

    parts: tuple[Part, ...] = Field((Part(model="ease"), Part(model="item_knn")), min_length=2, max_length=5)
    """The models, each with its parameters."""
    weights: tuple[float, ...] = (0.5, 0.5)
    """How much each part's standardised scores count."""

    @field_validator("weights")
    @classmethod
    def _weighing(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
            raise ValueError(f"give finite weights of 0 or more that are not all 0, not {list(weights)}")
        return weights

    @model_validator(mode="after")
    def _one_weight_each(self) -> Self:
        if len(self.weights) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts need as many weights, not {len(self.weights)}")
        return self


class Model(Stored[Config]):
    config_class = Config
    RANDOM = True  # a part may be

    def __init__(self, config: Config, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        self.parts: list[Stored[Any]] = [self._made(part) for part in config.parts]

    @classmethod
    def artefacts(cls, config: Config) -> Sequence[Artefact]:
        return [each for part in config.parts for each in part.artefacts]

    def fit(self, dataset: Dataset) -> None:
        for part in self.parts:
            part.fit(dataset)

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        pairs = zip(self.config.weights, self.parts, strict=True)
        scores = [weight * standardised(part.score(history, users)) for weight, part in pairs if weight]
        return torch.stack(scores).sum(dim=0)

    def footprint(self, dataset: Dataset) -> int:
        """What all parts take, one fitted while the others are held."""
        return sum(part.footprint(dataset) for part in self.parts)

    def operations(self, dataset: Dataset) -> Operations:
        each = [part.operations(dataset) for part in self.parts]
        return Operations(sum(part.products for part in each), sum(part.elements for part in each))

    def tensors(self) -> dict[str, Tensor]:
        return {f"{i}.{name}": tensor for i, part in enumerate(self.parts) for name, tensor in part.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for i, part in enumerate(self.parts):
            part.restore(under(f"{i}.", tensors))

    def _made(self, part: Part) -> Stored[Any]:
        sizes = (self.n_users, self.n_items, self.seed)
        if trained := part.trained:
            return TrainedPart(trained, part.config(), *sizes)
        made = models.model_class(part.model)(part.config(), *sizes)
        assert isinstance(made, Stored)
        return made


def standardised(scores: Tensor) -> Tensor:
    """Each row of `scores` (B, n_items) less its mean, over its standard deviation; zeros where all are alike."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    return centred / centred.std(dim=1, keepdim=True).clamp(min=TINY)
