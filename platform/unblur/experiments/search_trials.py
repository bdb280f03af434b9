"""The trials of a search as a source of tasks; its study is the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unblur.running.cleanup import folder_of
from unblur.running.work import Assignment
from unblur.search.inference_grid import grid
from unblur.search.study import Study
from unblur.seeds import derive
from unblur.training.loop import TrainingSchedule
from unblur.training.record import TrialRecord
from unblur.training.task import Task


@dataclass(frozen=True)
class SearchTrials:
    """Tasks until `n_trials` trials of the study are finished, each in a folder of its own in `folder`."""

    study: Study
    n_trials: int
    schedule: TrainingSchedule
    folder: str

    @property
    def metric(self) -> str:
        return self.study.identity.metric

    def left(self) -> int:
        return self.study.missing(self.n_trials)

    def settle(self) -> list[TrialRecord]:
        return self.study.settle()

    def next(self) -> Assignment:
        identity = self.study.identity
        number, params = self.study.ask()
        task = Task(
            model=identity.model,
            params=params,
            seed=derive("training", identity.seed, number),
            schedule=self.schedule,
            folder=folder_of(self.folder, number),
            grid=tuple(grid(identity.model, identity.swept, params)),
        )
        return Assignment(number, params, task)

    def report(self, number: int, epoch: int, value: float, inference: Mapping[str, Any]) -> bool:
        return self.study.report(number, epoch, value, inference)

    def finished(self, number: int, value: float | None) -> TrialRecord:
        return self.study.complete(number, value)

    def stopped(self, number: int) -> TrialRecord:
        return self.study.prune(number)

    def failed(self, number: int, reason: str) -> TrialRecord:
        return self.study.fail(number, reason)

    def release(self) -> None:
        self.study.release()
