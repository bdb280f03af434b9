"""Several workers take the same steps as one: a model without chance ends with the same weights."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities
from tests.helpers.worker_group import on_workers
from torch import Tensor, nn

from unblur import models
from unblur.data.dataset import Dataset, History
from unblur.models.base import Batch, TrainableConfig, TrainableRecommender
from unblur.nn.sparse import from_scipy
from unblur.training.loop import TrainingSchedule, fit
from unblur.training.report import Progress
from unblur.training.validation import validated
from unblur.training.workers import process_group

SPLIT = communities()


class Linear(TrainableRecommender[TrainableConfig]):
    """A linear autoencoder, trained in batches that no number of workers divides evenly."""

    def __init__(self) -> None:
        super().__init__(TrainableConfig(), SPLIT.n_users, SPLIT.n_items)
        self.weight = nn.Parameter(torch.zeros(SPLIT.n_items, SPLIT.n_items))

    def forward(self, examples: Tensor) -> Tensor:
        dense = examples.to_dense()
        return (dense @ self.weight - dense).square().sum(-1)

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for start in range(0, dataset.n_users, 17):  # the last batch has one user: a second worker gets none
            whole = np.arange(dataset.n_users)[start : start + 17]
            yield Batch(from_scipy(dataset.train[whole[rank::world]], self.device), len(whole))

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def score(self, history: History, users: np.ndarray) -> Tensor:
        # what is nearly equal is put apart, or rounding, which is another on every machine, would decide the ranking
        apart = 0.1 * torch.arange(self.n_items).flip(0) / self.n_items
        return torch.from_numpy(history.matrix.toarray()) @ self.weight.detach() + apart

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> "Linear":
        raise NotImplementedError


def train(reports: list[dict[str, float]], validation_users: int | None = None) -> Tensor:
    model = Linear()

    def report(progress: Progress) -> None:
        reports.append({**progress.metrics, **progress.facts, "best": progress.best or 0.0})

    schedule = TrainingSchedule(epochs=4, eval_every=2, patience=4, validation_users=validation_users)
    fit(model, SPLIT, schedule, report, workers=process_group())
    return model.weight.detach()


def popularity() -> dict[str, float]:
    config, model = models.config_class("popularity"), models.model_class("popularity")
    fitted: Any = model(config(), SPLIT.n_users, SPLIT.n_items)
    fitted.fit(SPLIT)
    return validated(fitted, SPLIT, process_group())


def together(*parts: Callable[[], Any]) -> list[Any]:
    return [part() for part in parts]


def results(validation_users: int | None = None) -> dict[str, Any]:
    reports: list[dict[str, float]] = []
    return {"weight": train(reports, validation_users), "reports": reports}


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_workers_takes_the_same_steps(world: int, tmp_path: Path) -> None:
    both = on_workers(functools.partial(together, results, popularity), tmp_path, world)
    assert [metrics for _, metrics in both] == [popularity()] * world, "to the last digit, whoever ranks whom"
    found = [got for got, _ in both]
    alone: list[dict[str, float]] = []
    expected = train(alone)
    for got in found:
        torch.testing.assert_close(got["weight"], expected, rtol=1e-5, atol=1e-6)
        for mine, first, theirs in zip(got["reports"], found[0]["reports"], alone, strict=True):
            assert {**mine, "seconds": 0} == {**first, "seconds": 0}
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
            assert mine["ndcg_at_10"] == pytest.approx(theirs["ndcg_at_10"], rel=1e-6)


def test_more_workers_than_users_of_the_sample(tmp_path: Path) -> None:
    first, second = (found["reports"] for found in on_workers(functools.partial(results, 1), tmp_path))
    alone: list[dict[str, float]] = []
    train(alone, 1)
    assert [{**each, "seconds": 0} for each in first] == [{**each, "seconds": 0} for each in second]
    for mine, theirs in zip(first, alone, strict=True):
        for name, value in theirs.items():
            assert name == "seconds" or mine[name] == pytest.approx(value, rel=1e-4)
