"""Evaluations of a fixed sample of users: a training is chosen by them, and worth what all users say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.helpers.reports import timeless
from tests.helpers.synthetic import communities

from unblur import models
from unblur.data.dataset import Dataset
from unblur.evaluation.ranking import validate
from unblur.models.base import Recommender
from unblur.training import loop
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import Outcome, TrainingSchedule, fit
from unblur.training.report import Progress
from unblur.training.validation import sample

SPLIT = communities()
FEW = 15
PLAN = TrainingSchedule(epochs=8, eval_every=2, validation_users=FEW)
GRID = [{"guidance_scale": scale} for scale in (0.0, 0.5, 1.0, 2.0)]


def build(seed: int = 3) -> Recommender[Any]:
    config = models.configure("cfg_diffrec", {"dims": [16], "batch_size": 32, "lr": 0.01}, "test")
    return models.model_class("cfg_diffrec")(config, SPLIT.n_users, SPLIT.n_items, seed=seed)


def trained(model: Recommender[Any], schedule: TrainingSchedule = PLAN, **more: Any) -> tuple[Outcome, list[Progress]]:
    told: list[Progress] = []
    return fit(model, SPLIT, schedule, told.append, **more), told


def drawn(dataset: Dataset, size: int) -> np.ndarray:
    users = sample(dataset, size)
    assert users is not None
    return users


def test_every_evaluation_ranks_the_sample_and_the_last_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    for seed in (3, 4):  # whatever the trial
        model = build(seed)
        score = model.score
        monkeypatch.setattr(
            model, "score", lambda history, users, s=score: asked.append(users.tolist()) or s(history, users)
        )
        trained(model)
    assert asked == [*[drawn(SPLIT, FEW).tolist()] * 4, list(range(SPLIT.n_users))] * 2


def test_what_is_told_on_the_way_is_the_samples() -> None:
    model, told, expected = build(), [], []

    def report(progress: Progress) -> None:
        told.append(progress.metrics.get("ndcg_at_10"))
        expected.append(validate(model, SPLIT, drawn(SPLIT, FEW)).metrics()["ndcg_at_10"])

    fit(model, SPLIT, PLAN, report)
    assert told[-1] is None and told[:-1] == pytest.approx(expected[:-1])


@pytest.mark.parametrize("grid", [[], GRID])
def test_the_outcome_is_what_everyone_says_of_the_returned_model(grid: list[dict[str, float]]) -> None:
    model = build()
    outcome, told = trained(model, grid=grid)
    values = [each.metrics["ndcg_at_10"] for each in told[:-1]]
    assert outcome.epoch == 2 * (1 + int(np.argmax(values))), "the sample chooses the epoch"
    assert outcome.metrics == pytest.approx(validate(model, SPLIT).metrics())
    assert outcome.value == outcome.metrics["ndcg_at_10"] != pytest.approx(max(values))
    assert told[-1] == Progress(8, best=outcome.value)
    assert not any(each.best is not None for each in told[:-1]), "nobody has asked everyone yet"
    if grid:
        assert outcome.inference in grid and model.config.guidance_scale == outcome.inference["guidance_scale"]


def test_users_are_drawn_among_those_who_have_something_to_find() -> None:
    valid = SPLIT.valid.toarray()
    valid[::2] = 0
    dataset = Dataset(
        SPLIT.train, csr_matrix(valid), SPLIT.train_rank, SPLIT.valid_rank, SPLIT.users, SPLIT.items, digest="half"
    )
    torch.manual_seed(1)
    first = drawn(dataset, FEW)
    assert len(set(first.tolist())) == FEW and (first % 2 == 1).all()
    torch.manual_seed(2)
    np.testing.assert_array_equal(drawn(dataset, FEW), first)
    assert sample(dataset, SPLIT.n_users // 2) is None and sample(dataset, None) is None


def test_a_sample_of_everyone_changes_nothing() -> None:
    schedule = PLAN.model_copy(update={"validation_users": None})
    outcome, told = trained(build(), schedule)
    same, told_too = trained(build(), PLAN.model_copy(update={"validation_users": SPLIT.n_users}))
    assert same == outcome
    assert [timeless(each) for each in told_too] == [timeless(each) for each in told]
    assert "validation_users" not in schedule.model_dump(), "what was trained without one is the same training"


@pytest.mark.parametrize("stop", [4, 8])
def test_a_resumed_training_ends_the_same(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    whole, checkpoints = build(), Checkpoints(str(tmp_path))
    outcome, told = trained(whole)

    def dies(progress: Progress) -> None:
        if progress.epoch == stop and (stop < 8 or not progress.metrics):  # in an evaluation, or in the last report
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(build(), SPLIT, PLAN, dies, checkpoints)
    again = build()
    same, told_too = trained(again, checkpoints=checkpoints)
    assert same == outcome and told_too[-1] == told[-1]
    assert all(value.equal(again.state_dict()[name]) for name, value in whole.state_dict().items())
