"""One start of an ablation: its cells as tasks of the engine, their results, and its runs in MLflow."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from unblur.data.dataset import Dataset
from unblur.data.request import DataRequest, name_of
from unblur.errors import RunFailed
from unblur.evaluation.measuring import parse_metric
from unblur.experiments.ablation import Ablation, Cell, Measured, Part
from unblur.experiments.artefacts import SharedArtefacts, needed
from unblur.experiments.cell_record import CellRecord, best_cell
from unblur.experiments.cells import CellRun, CellTest, CellTraining, projection
from unblur.experiments.forecast import plan_execution
from unblur.experiments.monitor import Monitor, exported
from unblur.experiments.options import AblateOptions
from unblur.experiments.prepared import PreparedData
from unblur.experiments.progress import Progress
from unblur.experiments.recording import ParentRun, recorded
from unblur.experiments.storage_id import storage_id
from unblur.running.execution import Execution
from unblur.running.task_list import TaskList
from unblur.running.work import Assignment, Listener
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.tracker import Tracker
from unblur.training.cost import estimate
from unblur.training.record import State, TrialRecord

Datasets = Mapping[DataRequest, PreparedData]
PARTS: tuple[Part, ...] = ("valid", "test")
ARTEFACT_SEED = 0
"""Of what the cells share with the first seed; all else follows from the number of a training's seed."""


@dataclass(frozen=True)
class AblationResult:
    """The cells of an ablation, as far as they are trained and scored."""

    study: Ablation
    measured: tuple[Measured, ...]
    failed: Mapping[str, str]
    """Reasons of the cells that failed in this start, by name."""
    left: int
    """Trainings that are neither done nor failed."""

    def check(self) -> None:
        """RunFailed when a cell failed."""
        if self.failed:
            told = [f"{name} failed: {reason}" for name, reason in self.failed.items()]
            raise RunFailed("\n".join([*told, "The same command tries these again"]))


Changed = Callable[[AblationResult], None]
"""Called with all results so far at the start and after each cell."""


@dataclass(frozen=True)
class AblationRun:
    """One start of an ablation."""

    study: Ablation
    runs: Sequence[CellRun]
    datasets: Datasets
    root: str
    """Of the storage."""
    console: Console
    changed: Changed

    def schedule(self, options: AblateOptions) -> Execution:
        """Say what will be done; UserError when the cluster can give no training what it needs."""
        cells = self.study.cells()
        costs = [estimate(cell.model, dict(cell.params), self.datasets[cell.data].dataset) for cell in cells]
        execution, gpus = plan_execution(options, {cell.model for cell in cells}, costs)
        _announce(self.study, self.runs, execution.slots, self.console)
        if gpus:
            self.console.print(gpus, markup=False)
        return execution

    def recorded(self, store: Store) -> Any:
        """The tracker, with a parent run for the study and what its cells have left."""
        study, data = self.study, next(iter(self.datasets.values()))
        definition = study.model_dump(mode="json", exclude={"question", "figure", "seeds", "x"})
        digest = sha256(json.dumps([definition, data.digest], sort_keys=True).encode()).hexdigest()[:12]
        parent = ParentRun(
            study=f"ablation-{study.name}-{digest}-{storage_id(self.root)}",
            name=f"ablation {study.name}",
            model=study.model,
            params={name: value for name, value in definition.items() if name not in {"name", "parameters"}},
            kind="ablation",
            tags={names.ABLATION: study.name},
        )
        return recorded(store, data, parent, self.console)

    def train(self, execution: Execution, tracker: Tracker, at_most: int | None) -> dict[str, str]:
        """Train the cells that are not done, at most so many; the reasons of those that failed, by name."""
        assignments = [
            Assignment(run.number, run.params, CellTraining(run.training, run.cell.points), str(run.number))
            for run in self.runs
        ]
        source = TaskList(assignments, lambda each: self.runs[each.number].done("valid"), self._metric, at_most)
        record = CellRecord(tracker, self.runs, self._metric, execution.resources)
        record.reconcile()
        left = [run for run in self.runs if not run.done("valid")][:at_most]
        data = {
            name: each for of in {run.cell.data: None for run in left} for name, each in self._data(of, left, execution)
        }
        of = {"study": self.study.name, "dataset": name_of(self.study.dataset), "model": self.study.model}
        watched = Monitor(tracker, of, "cell", self._metric, len(self.runs), execution)
        with self._shown() as progress, exported(watched) as monitor:
            execution.run(source, data, [progress, monitor, record, _Changes(self, source)])
        if any(not run.done("valid") for run in self.runs):
            self.console.print(_forecast(self.runs, execution.slots), markup=False)
        return self.named(source.failures)

    def test(self, execution: Execution, tracker: Tracker) -> dict[str, str]:
        """Test every trained cell, once; the reasons of those whose test failed, by name."""
        trained = [run for run in self.runs if run.done("valid")]
        untested = [run for run in trained if not run.done("test")]
        self.console.print(f"testing {len(untested)} cells", markup=False)
        assignments = [
            Assignment(run.number, run.params, CellTest(run.folder, run.cell.points), self._digest(run))
            for run in untested
        ]
        source = TaskList(assignments, lambda each: self.runs[each.number].done("test"), self._metric)
        needed = {self._digest(run) for run in untested}
        data = {
            each.digest: each.open_test(f"ablation {self.study.name}")
            for each in self.datasets.values()
            if each.digest in needed
        }
        execution.alone().run(source, data, [_Changes(self, source)])
        CellRecord(tracker, trained, self._metric, execution.resources).tests()
        return self.named(source.failures)

    def result(self, failed: Mapping[str, str]) -> AblationResult:
        measured = tuple(found for run in self.runs for part in PARTS for found in run.measured(part))
        left = sum(not run.done("valid") for run in self.runs) - len(failed)
        return AblationResult(self.study, measured, failed, max(left, 0))

    def conclude(self, tracker: Tracker, result: AblationResult) -> None:
        """Close the parent run: with the result when nothing is left, as interrupted or failed otherwise."""
        if result.left:
            text = f"{result.left} cells are left: the same command goes on with them"
            self.console.print(text, markup=False)
            tracker.end_study(State.INTERRUPTED, text)
        elif result.failed:
            tracker.end_study(State.FAIL, "; ".join(f"{name}: {reason}" for name, reason in result.failed.items()))
        else:
            with TemporaryDirectory(prefix="unblur-") as scratch:
                file = Path(scratch) / "results.json"
                file.write_text(json.dumps([asdict(each) for each in result.measured], indent=1))
                tracker.finish(*best_cell(self.runs, self._metric), {"": file})
                tracker.flush(60)  # the file is on its way

    def _data(self, of: DataRequest, left: Sequence[CellRun], execution: Execution) -> Iterator[tuple[str, Dataset]]:
        """The data of each cell that is left, of those on the same data, with the artefacts that these share."""
        same = [run for run in left if run.cell.data == of]
        artefacts = {each.name: each for run in same for each in needed(run.cell.model, [run.cell.params])}
        shared = SharedArtefacts(self.datasets[of].dataset, list(artefacts.values()), ARTEFACT_SEED, self.root)
        made = shared.made(execution, {run.seed for run in same})
        return ((str(run.number), made[run.seed]) for run in same)

    @property
    def _metric(self) -> str:
        return parse_metric(self.study.metric)

    def _digest(self, run: CellRun) -> str:
        return self.datasets[run.cell.data].digest

    def named(self, failures: Mapping[int, str]) -> dict[str, str]:
        return {str(self.runs[number]): reason.partition("\n")[0] for number, reason in failures.items()}

    @contextmanager
    def _shown(self) -> Iterator[Progress]:
        done = [
            TrialRecord(run.number, State.COMPLETE, run.params, best[1][self._metric])
            for run in self.runs
            if run.done("valid") and (best := run.best())
        ]
        shown: dict[str, Any] = {"epochs": self.study.epochs, "title": self.study.name}
        with Progress(self.console, len(self.runs), self.study.metric, self._metric, done, "cell", **shown) as progress:
            yield progress


class _Changes(Listener):
    """A listener that passes on the results so far whenever a cell has ended."""

    def __init__(self, ablation: AblationRun, source: TaskList) -> None:
        self.ablation, self.source = ablation, source

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self.ablation.changed(self.ablation.result(self.ablation.named(self.source.failures)))


def _announce(study: Ablation, runs: Sequence[CellRun], slots: int, console: Console) -> None:
    cells = study.cells()
    done, points = sum(run.done("valid") for run in runs), sum(len(cell.points) for cell in cells)
    meaningless = sum(_possible(study, cell) - len(cell.points) for cell in cells)
    once = " (what is not random once)" if len(runs) < len(cells) * study.seeds else ""
    console.print(f"{study.name}: {study.question.strip()}", markup=False)
    console.print(
        f"{len(cells)} cells x {study.seeds} seeds{once} = {len(runs)} trainings of at most {study.epochs} epochs, "
        f"{points} points per seed" + (f" ({meaningless} have no meaning and are left out)" if meaningless else ""),
        markup=False,
    )
    console.print(f"{done} trainings are done; {slots} at a time; {_forecast(runs, slots)}", markup=False)


def _possible(study: Ablation, cell: Cell) -> int:
    """Points of the whole sweep over what the cell's model has."""
    swept = [len(values) for name, values in study.inference.items() if name in cell.points[0].settings]
    return prod(swept) * max(len(study.newest), 1)


def _forecast(runs: Sequence[CellRun], slots: int) -> str:
    found = projection(runs, slots)
    if found is None:
        return "none is timed yet, so the duration is known after the first (--at-most 1 trains only that)"
    seconds, timed = found
    rest = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
    return f"the rest takes about {rest}, by the mean of the {timed} timed"
