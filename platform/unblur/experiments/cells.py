"""Grid cells of an ablation as tasks: trained once with each seed, scored once at every point of their sweeps."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from unblur import models, records
from unblur.data.dataset import Dataset
from unblur.data.test_set import TestSet
from unblur.evaluation.ranking import Evaluation, final, validate
from unblur.experiments.ablation import Cell, Measured, Part, Point
from unblur.files import download, under
from unblur.models import trained_on
from unblur.provenance import TRAINING
from unblur.training.loop import Outcome
from unblur.training.report import Progress, Report
from unblur.training.task import MODEL, Task
from unblur.training.workers import Workers, on_best_device

TIMING = "timing.json"


@dataclass(frozen=True)
class CellTraining:
    """Train a cell with one seed unless that is done, then score it on validation where it is not scored."""

    training: Task
    points: tuple[Point, ...]

    @property
    def folder(self) -> str:
        return self.training.folder

    def run(self, dataset: Dataset, report: Report, workers: Workers) -> Outcome | None:
        started, before = time.monotonic(), _seconds(self.folder) or 0.0
        outcome = None
        if self.training.outcome is None:
            outcome = self.training.run(dataset, report, workers)
        scoring = _Scoring(self.folder, self.points, "valid", dataset)
        scoring.run(lambda model, newest: validate(model, dataset, newest=newest), report, workers)
        if workers.rank == 0:
            records.write(under(self.folder, TIMING), {"seconds": before + time.monotonic() - started}, TIMING)
        return outcome


@dataclass(frozen=True)
class CellTest:
    """Score a trained cell on the test set where it was not tested yet."""

    folder: str
    points: tuple[Point, ...]

    def run(self, data: TestSet, report: Report, workers: Workers) -> None:
        scoring = _Scoring(self.folder, self.points, "test", data.dataset)
        scoring.run(lambda model, newest: final(model, data.dataset, data.test, data.history, newest), report, workers)


@dataclass(frozen=True)
class _Scoring:
    folder: str
    points: tuple[Point, ...]
    part: Part
    dataset: Dataset

    def run(self, evaluate: Callable[[Any, int | None], Evaluation], report: Report, workers: Workers) -> None:
        """Score on the first worker; all report after each point, as Ray Train demands, and so show that they live."""
        scored = scores(self.folder, self.part)
        missing = [point for point in self.points if point.key not in scored]
        model = self._model() if missing and workers.rank == 0 else None
        for point in missing:
            if model is not None:
                model.infer_with(point.settings)  # every point sets the same fields
                scored[point.key] = evaluate(model, point.shown).metrics()
            report(Progress(0))
        if model is not None:
            records.write(under(self.folder, f"{self.part}.json"), scored, self.part)

    def _model(self) -> Any:
        with tempfile.TemporaryDirectory() as scratch:
            return on_best_device(trained_on.load(download(under(self.folder, MODEL), Path(scratch)), self.dataset))


@dataclass(frozen=True)
class CellRun:
    """A grid cell with a seed. All that decides its result names its folder, so that studies share what is done."""

    number: int
    cell: Cell
    seed: int
    """Its place among the study's seeds."""
    training: Task

    def __str__(self) -> str:
        return f"{self.cell}, seed {self.seed}"

    @property
    def folder(self) -> str:
        return self.training.folder

    @property
    def outcome(self) -> dict[str, Any] | None:
        """Epoch, value, validation metrics and parameter count of the finished training."""
        return self.training.outcome

    @property
    def seconds(self) -> float | None:
        """Duration of its training and scoring; None before."""
        return _seconds(self.folder)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters by which people know it."""
        return {"model": self.cell.model, **self.cell.params, **self.cell.labels, "seed": self.seed}

    def done(self, part: Part) -> bool:
        """Whether every point of the sweep is scored."""
        scored = scores(self.folder, part)
        return self.outcome is not None and all(point.key in scored for point in self.cell.points)

    def measured(self, part: Part) -> list[Measured]:
        """The scores so far."""
        scored, outcome = scores(self.folder, part), self.outcome or {}
        facts = {name: outcome.get(name) for name in ("epoch", "parameters", "memory_mib")} | {"seconds": self.seconds}
        points = [point for point in self.cell.points if point.key in scored]
        return [Measured({**self.cell.labels, **p.labels}, self.seed, part, scored[p.key], facts) for p in points]

    def best(self) -> tuple[Point, dict[str, float]] | None:
        """The point that is best on validation, with its metrics; None before it is scored.

        How much is shown is not chosen: points that show everything come first, where there are any.
        """
        scored = scores(self.folder, "valid")
        points = [point for point in self.cell.points if point.key in scored]
        metric = self.training.schedule.metric
        best = max(points, key=lambda point: (point.shown is None, scored[point.key][metric]), default=None)
        return None if best is None else (best, scored[best.key])


def cell_run(number: int, cell: Cell, seed: int, task: Task, data: Mapping[str, str]) -> CellRun:
    """A run in a folder of its own below `task.folder`, named by the data, the configuration, schedule and seed.

    data: the digests of the dataset and of what is learned from it beforehand.
    """
    config = models.configure(task.model, task.params, str(cell))
    what: dict[str, Any] = {**data, "model": task.model, "config": config.model_dump(mode="json")}
    what |= {"schedule": task.schedule.model_dump(), "seed": task.seed, "training": TRAINING}
    name = sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return CellRun(number, cell, seed, task.model_copy(update={"folder": under(task.folder, name)}))


def scores(folder: str, part: Part) -> dict[str, dict[str, float]]:
    """The metrics of each point, by its key."""
    return records.read(under(folder, f"{part}.json"), part) or {}


def projection(runs: Sequence[CellRun], slots: int) -> tuple[float, int] | None:
    """Seconds that the rest may take, by the mean of those that are done, and how many these are; None before any."""
    known = [seconds for run in runs if run.done("valid") and (seconds := run.seconds) is not None]
    if not known:
        return None
    left = sum(not run.done("valid") for run in runs)
    return left * sum(known) / len(known) / max(slots, 1), len(known)


def _seconds(folder: str) -> float | None:
    timing = records.read(under(folder, TIMING), TIMING)
    return None if timing is None else float(timing["seconds"])
