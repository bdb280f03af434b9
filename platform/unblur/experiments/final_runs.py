"""The final runs of one configuration, one per seed, and their tests: lists of tasks for the engine."""

from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from unblur.data.dataset import HistoryName
from unblur.experiments.kept_reports import KeptReports, in_folder
from unblur.experiments.test_once import PopularityTest, TestRun
from unblur.files import under
from unblur.running.cleanup import folder_of
from unblur.running.task_list import TaskList
from unblur.running.work import Assignment
from unblur.seeds import derive
from unblur.tracking.names import PER_CONFIGURATION, final_number
from unblur.training.loop import TrainingSchedule
from unblur.training.record import TrialRecord
from unblur.training.task import Task


@dataclass(frozen=True)
class FinalRuns:
    """Trainings of one configuration; the outcome file that a finished one leaves is the record."""

    folder: str
    configuration: int
    """Number of the trial that found it; 0 without a search."""
    model: str
    params: dict[str, Any]
    seed: int
    """Of the study; those of the trainings follow from it."""
    seeds: int
    """How many there are."""
    schedule: TrainingSchedule
    grid: tuple[dict[str, Any], ...] = ()
    """Inference settings, of which each evaluation takes the best."""

    def as_chosen(self, trial: TrialRecord) -> Self:
        """The same for as many epochs, and with the settings of inference, as the search found best.

        For a search that selected by other data than these runs could stop on: some are what they train on.
        """
        epoch = max(trial.values, key=lambda each: trial.values[each])
        schedule = self.schedule.model_copy(update={"epochs": epoch, "eval_every": epoch, "patience": epoch})
        return replace(self, schedule=schedule, grid=(trial.inference,) if trial.inference else ())

    @property
    def numbers(self) -> list[int]:
        return [final_number(self.configuration, seed) for seed in range(self.seeds)]

    def is_one(self, number: int) -> bool:
        """Whether the number is that of a run of this configuration, whatever its seed."""
        return number // PER_CONFIGURATION == self.configuration

    def home(self, number: int) -> str:
        """The folder of a run."""
        return folder_of(self.folder, number)

    def outcome(self, number: int) -> dict[str, Any] | None:
        """Epoch, value, validation metrics and parameter count of a finished run whose model is there."""
        return self._training(number).outcome

    def sweep(self) -> pd.DataFrame:
        """Every setting of inference that there is a choice of, with each seed's metrics on validation: a row each."""
        seeds = enumerate(self.outcome(number) or {} for number in self.numbers)
        return pd.DataFrame([{"seed": seed, **row} for seed, outcome in seeds for row in outcome.get("sweep", [])])

    @property
    def reports(self) -> KeptReports:
        """What the runs reported."""
        return in_folder(under(self.folder, "reports"), "final")

    def trainings(self) -> TaskList:
        """The trainings as a source of tasks; the data of each are known by the number of its seed."""
        assignments = [
            Assignment(number, self.params, self._training(number), str(seed))
            for seed, number in enumerate(self.numbers)
        ]
        return TaskList(assignments, lambda each: self.outcome(each.number) is not None, self.schedule.metric)

    def test(self, number: int, history: HistoryName) -> TestRun:
        return TestRun(self.home(number), history, self._training(number).digest)

    def popularity(self, history: HistoryName) -> PopularityTest:
        return PopularityTest(under(self.folder, "popularity"), history, "popularity")

    def tests(self, history: HistoryName) -> TaskList:
        """The tests of the trained models, and of popularity beside them, as a source of tasks."""
        tests = [*(self.test(number, history) for number in self.numbers), self.popularity(history)]
        assignments = [Assignment(number, self.params, test) for number, test in enumerate(tests)]
        return TaskList(assignments, lambda each: tests[each.number].done, self.schedule.metric)

    def _training(self, number: int) -> Task:
        return Task(
            model=self.model,
            params=self.params,
            # "retrain" and not "final": whoever has results of these seeds can still repeat them
            seed=derive("training", derive("retrain", self.seed, self.configuration), number),
            schedule=self.schedule,
            folder=self.home(number),
            keep=True,
            grid=self.grid,
        )
