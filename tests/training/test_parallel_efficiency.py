"""The efficiency of several workers: the right figure where it is known, and no trace of having been measured."""

import functools
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.reports import timeless
from tests.helpers.synthetic import communities
from tests.helpers.worker_group import on_workers
from tests.training.test_workers import Linear
from torch import Tensor

from unblur import models
from unblur.models.base import TrainableRecommender
from unblur.training import loop
from unblur.training.loop import TrainingSchedule, fit
from unblur.training.parallel_efficiency import efficiency
from unblur.training.report import Progress
from unblur.training.workers import Workers, process_group

SPLIT = communities()
STATEFUL = {
    "diffrec": {"dims": [16], "batch_size": 50, "T": 3, "time_sampling": "importance"},
    "l_diffrec": {"dims": [16], "batch_size": 50, "in_dims": [16], "out_dims": [], "n_groups": 2},
    "lightgcn": {"batch_size": 200},
}
"""Models that draw random numbers, and of which two count their steps or keep their losses."""


def build(name: str) -> TrainableRecommender[Any]:
    config = models.configure(name, STATEFUL[name], "test")
    model = models.model_class(name)(config, SPLIT.n_users, SPLIT.n_items, seed=3)
    assert isinstance(model, TrainableRecommender)
    return model


CLOCK = [0.0]


class Slow(Linear):
    """Takes a known time, on a clock of its own, for a batch of so many users."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, examples: Tensor) -> Tensor:
        CLOCK[0] += self.seconds(len(examples))
        return super().forward(examples)


def of_known_time(seconds: Callable[[int], float]) -> float | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unblur.training.parallel_efficiency._now", lambda model: CLOCK[0])
        return efficiency(Slow(seconds), SPLIT, process_group())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(lambda users: 0.4 * users / 17, 1.0), (lambda users: 0.4, 0.5), (lambda users: 0.2 + 0.2 * users / 17, 2 / 3)],
)
def test_it_is_the_whole_batchs_time_over_that_of_all_workers(
    seconds: Callable[[int], float], expected: float, tmp_path: Path
) -> None:
    first, second = on_workers(functools.partial(of_known_time, seconds), tmp_path)
    assert first == second == pytest.approx(expected)


def measured(name: str) -> dict[str, Any]:
    model = build(name)
    dataset = loop.with_artefacts(model, SPLIT)
    model.setup(dataset)
    torch.manual_seed(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    draws = torch.get_rng_state()
    value = efficiency(model, dataset, process_group())
    after = model.state_dict()
    return {
        "value": value,
        "changed": [name for name, value in before.items() if not value.equal(after[name])],
        "drew": not draws.equal(torch.get_rng_state()),
        "gradients": any(parameter.grad is not None for parameter in model.parameters()),
    }


@pytest.mark.parametrize("name", STATEFUL)
def test_it_leaves_the_model_and_the_random_numbers_alone(name: str, tmp_path: Path) -> None:
    first, second = on_workers(functools.partial(measured, name), tmp_path)
    assert first == second == {**first, "changed": [], "drew": False, "gradients": False}
    assert first["value"] > 0


def trained(name: str, measure: bool) -> dict[str, Any]:
    if not measure:
        loop.efficiency = lambda *_: None  # of this process alone
    told: list[Progress] = []
    model, schedule = build(name), TrainingSchedule(epochs=4, eval_every=2)
    outcome = fit(model, SPLIT, schedule, told.append, workers=process_group())
    return {"state": model.state_dict(), "told": [asdict(each) for each in told], "outcome": outcome.efficiency}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_training_is_the_same_with_and_without_it(name: str, tmp_path: Path) -> None:
    results = []
    for measure in (True, False):
        (folder := tmp_path / str(measure)).mkdir()
        results.append(on_workers(functools.partial(trained, name, measure), folder)[0])
    for each in results:
        each["told"] = [Progress(**report) for report in each["told"]]
    one, other = results
    assert all(value.equal(other["state"][key]) for key, value in one["state"].items())
    assert all(each.facts["efficiency"] == one["outcome"] > 0 for each in one["told"])
    assert other["outcome"] is None and not any("efficiency" in each.facts for each in other["told"])
    for mine, theirs in zip(one["told"], other["told"], strict=True):
        facts = {**theirs.facts, "efficiency": one["outcome"]}
        assert timeless(replace(theirs, facts=facts)) == timeless(mine)


class Tight(Linear):
    """Has no room for more than a share."""

    def forward(self, examples: Tensor) -> Tensor:
        if len(examples) > 9:
            raise RuntimeError("CUDA out of memory")
        return super().forward(examples)


def test_where_one_worker_cannot_take_a_whole_batch_nothing_is_told(tmp_path: Path) -> None:
    def act() -> list[bool]:
        told: list[Progress] = []
        schedule = TrainingSchedule(epochs=2, eval_every=1)
        outcome = fit(Tight(), SPLIT, schedule, told.append, workers=process_group())
        return [outcome.efficiency is None, len(told) == 2, *("efficiency" not in each.facts for each in told)]

    assert all(all(each) for each in on_workers(act, tmp_path))


def test_one_worker_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("diffrec")
    monkeypatch.setattr(model, "batches", lambda *_: pytest.fail("a step was taken"))
    assert efficiency(model, SPLIT, Workers()) is None
