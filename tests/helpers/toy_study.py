"""A small study for tests: its identity, and its trials as tasks."""

from typing import Any

from tests.helpers.toy_values import task, value
from unblur.evaluation.protocol import EvaluationProtocol
from unblur.experiments.search_trials import SearchTrials
from unblur.running.work import Assignment
from unblur.search.identity import StudyIdentity
from unblur.search.space import SearchSpace
from unblur.search.study import Study
from unblur.training.loop import TrainingSchedule

SPACE = {
    "model": "toy",
    "parameters": {
        "x": {"type": "float", "low": -1.0, "high": 1.0},
        "dims": {"type": "choice", "values": [[1], [1, 2]]},
        "kind": {"type": "choice", "values": ["flat", "deep"]},
        "depth": {"type": "int", "low": 1, "high": 4, "when": {"kind": "deep"}},
    },
    "fixed": {"y": 3},
    "enqueue": [{"x": 0.5, "dims": [1, 2], "kind": "flat"}, {"x": -0.5}],
}


def identity(**changes: Any) -> StudyIdentity:
    base: dict[str, Any] = {
        "dataset": "d" * 8,
        "protocol": "clean",
        "evaluation": EvaluationProtocol(
            split="per_user_time", ratios="70/20/10", targets="all", history="train", ties="hash"
        ),
        "model": "toy",
        "space": SearchSpace.model_validate(SPACE),
        "metric": "ndcg_at_10",
        "epochs": 9,
        "eval_every": 1,
        "patience": 9,
        "seed": 0,
    }
    return StudyIdentity(**{**base, **changes})


def run(study: Study, n_trials: int, die_at: tuple[int, int] = (-1, -1)) -> list[int]:
    """A driver without Ray: one trial at a time, nine epochs each; leaves everything as it is at `die_at`."""
    done = [record.number for record in study.settle()]
    while study.missing(n_trials):
        number, params = study.ask()
        for epoch in range(1, 10):
            if (number, epoch) == die_at:
                return done
            if study.report(number, epoch, value(params, epoch)):
                study.prune(number)
                break
        else:
            study.complete(number)
        done.append(number)
    return done


def table(study: Study) -> list[Any]:
    return [(r.number, r.state, r.params, r.value, r.values) for r in study.records()]


class ToyTrials(SearchTrials):
    """The study's trials as light tasks."""

    def next(self) -> Assignment:
        number, params = self.study.ask()
        return Assignment(number, params, task(params))


def trials(study: Study, n_trials: int) -> ToyTrials:
    return ToyTrials(study, n_trials, TrainingSchedule(), "nowhere")
