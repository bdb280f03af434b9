"""Estimates of memory and work: a new model has them without a line of its own."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import chains, communities
from torch import Tensor, nn

from unblur.data.dataset import Dataset, History
from unblur.models import model_class
from unblur.models.base import Batch, ModelConfig, Recommender, TrainableConfig, TrainableRecommender
from unblur.models.closed_form._linear import Stored

SMALL, LARGE = communities(n_users=60, n_items=40), communities(n_users=240, n_items=80)
DATA = chains()


class Cooccurrence(Stored[ModelConfig]):
    """A closed form as a newcomer would write it."""

    config_class = ModelConfig
    matrix: Tensor

    def fit(self, dataset: Dataset) -> None:
        self.matrix = torch.from_numpy((dataset.train.T @ dataset.train).toarray())

    def score(self, history: History, users: np.ndarray) -> Tensor:
        return torch.from_numpy(history.matrix.toarray()) @ self.matrix

    def tensors(self) -> dict[str, Tensor]:
        return {"matrix": self.matrix}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.matrix = tensors["matrix"]


class Bias(TrainableRecommender[TrainableConfig]):
    """A trained model as a newcomer would write it."""

    def __init__(self, config: TrainableConfig, n_users: int, n_items: int) -> None:
        super().__init__(config, n_users, n_items)
        self.bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, examples: Tensor) -> Tensor:
        return (examples - self.bias).square().sum(-1)

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        yield Batch(torch.from_numpy(dataset.train.toarray())[rank::world], dataset.n_users)

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, history: History, users: np.ndarray) -> Tensor:
        return self.bias.detach().expand(len(users), -1)

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


@pytest.mark.parametrize(
    "make",
    [
        lambda d: Cooccurrence(ModelConfig(), d.n_users, d.n_items),
        lambda d: Bias(TrainableConfig(), d.n_users, d.n_items),
    ],
)
def test_a_model_without_estimates_of_its_own_has_some_that_grow_with_the_data(make) -> None:
    models: list[Recommender] = [make(dataset) for dataset in (SMALL, LARGE)]
    memory = [model.footprint(dataset) for model, dataset in zip(models, (SMALL, LARGE), strict=True)]
    work = [model.operations(dataset) for model, dataset in zip(models, (SMALL, LARGE), strict=True)]
    assert 0 < memory[0] < memory[1]
    assert work[0].products + work[0].elements > 0
    assert work[1].products > work[0].products and work[1].elements > work[0].elements


def test_negatives_of_each_targets_own_are_foretold_to_take_longer_than_what_a_batch_shares() -> None:
    """Measured on 2,474 items and one thread: an epoch with gbce and 256 negatives takes 3 times cross-entropy's, with
    64 as long as it, with 256 shared ones half of it."""
    config = model_class("sasrec").config_class
    made = model_class("sasrec")(config(), 4149, 2474)

    def elements(**params: object) -> float:
        made.config = config(**params)
        return made.operations(DATA).elements

    full = elements(loss="cross_entropy")
    assert 4 < elements(loss="gbce", negatives=256) / full < 10
    assert elements(loss="gbce", negatives=64) == pytest.approx(elements(loss="bce", negatives=64))
    assert elements(loss="sampled_softmax", negatives=256) < full / 2
