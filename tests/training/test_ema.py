"""The running average of the weights: its recurrence, and that it is what a training evaluates and keeps."""

from collections.abc import Mapping

import pytest
import torch
from tests.helpers.synthetic import communities
from torch import Tensor, nn

from unblur import models
from unblur.evaluation.ranking import validate
from unblur.models.base import TrainableRecommender
from unblur.training.ema import Average
from unblur.training.loop import Training, TrainingSchedule
from unblur.training.report import Progress
from unblur.training.workers import Workers

SPLIT = communities()


def build(name: str = "diffrec", **params: object) -> TrainableRecommender:
    config = models.configure(name, {"batch_size": 32, **params}, "test")
    model = models.model_class(name)(config, SPLIT.n_users, SPLIT.n_items, seed=3)
    assert isinstance(model, TrainableRecommender)
    return model


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_each_step_moves_it_towards_the_weights_at_first_by_more(decay: float) -> None:
    model = build(dims=[4])
    _fill(model, 7.0)
    average, expected = Average(model, decay), 7.0
    for n in range(40):
        _fill(model, n * n)
        average.follow()
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * n * n
        with average.in_place():
            for parameter in model.parameters():
                torch.testing.assert_close(parameter, torch.full_like(parameter, expected), msg=str(n))
        assert all((parameter == n * n).all() for parameter in model.parameters()), "the weights are back"


@pytest.mark.parametrize("name", ["diffrec", "l_diffrec", "multi_vae", "lightgcn"])
def test_it_is_what_is_evaluated_and_kept(name: str) -> None:
    told: dict[int, Mapping[str, float]] = {}
    averages: dict[int, list[Tensor]] = {}
    model = build(name, ema=0.9, lr=0.01)

    def report(progress: Progress) -> None:
        epoch = progress.epoch
        told[epoch] = progress.metrics
        assert training.average
        averages[epoch] = [value.clone() for value in training.average.values]

    training = Training(model, SPLIT, TrainingSchedule(epochs=6, eval_every=2, patience=6), report, None, Workers())
    outcome = training.run()
    for parameter, average in zip(model.parameters(), averages[outcome.epoch], strict=True):
        assert parameter.equal(average)
    assert validate(model, SPLIT).metrics()["ndcg_at_10"] == pytest.approx(told[outcome.epoch]["ndcg_at_10"])
    last = training.average.values if training.average else []
    assert any(not p.equal(q) for p, q in zip(averages[2], last, strict=True)), "it moves"


def test_memory_counts_one_copy_more() -> None:
    without, with_it = build(), build(ema=0.9)
    assert with_it.footprint(SPLIT) - without.footprint(SPLIT) == 4 * without.parameter_count


def _fill(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
