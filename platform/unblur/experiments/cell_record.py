"""Recording of an ablation's cells in MLflow: their curves as trials have them, and their scores over the sweep."""

import json
from collections.abc import Sequence
from statistics import mean
from typing import Any

from unblur.experiments.cells import CellRun, scores
from unblur.experiments.kept_reports import KeptReports
from unblur.experiments.recording import Recorder, with_reports
from unblur.files import under
from unblur.running.resources import Resources
from unblur.tracking import names
from unblur.tracking.runs import Record
from unblur.tracking.tracker import Tracker
from unblur.training.record import State

REPORTS = "reports.json"


class CellRecord(Recorder):
    """A listener that logs cells as child runs; `swept/...` and `test/...` are of the point best on validation."""

    def __init__(self, tracker: Tracker, runs: Sequence[CellRun], metric: str, resources: Resources) -> None:
        self.runs = {run.number: run for run in runs}
        kept = KeptReports(lambda number: under(self.runs[number].folder, REPORTS))
        super().__init__(tracker, "cell", metric, resources, kept)

    def name(self, number: int) -> str | None:
        return f"cell {number:04d}: {self.runs[number]}"

    def ended(self, number: int, state: State, reason: str | None) -> None:
        if state == State.COMPLETE:
            self._scores(self.runs[number])
        super().ended(number, state, reason)

    def reconcile(self) -> None:
        """Make MLflow agree with what earlier starts, and other studies, have left of these cells."""
        for run in self.runs.values():
            if run.done("valid"):
                outcome = run.outcome or {}
                metrics = {names.valid(name): value for name, value in outcome["metrics"].items()}
                metrics[names.best(self.metric)] = outcome["value"]
                name, found = self.name(run.number), {outcome["epoch"]: metrics}
                record = Record("cell", run.number, run.params, State.COMPLETE, found, name=name)
                kept = self.kept.of(run.number, run.params) if self.kept else None
                self.tracker.reconcile([with_reports(record, kept)])
                self._scores(run)
        self.tests()

    def tests(self) -> None:
        """Log the test's figures of the cells that are tested."""
        for run in self.runs.values():
            if run.done("test") and (best := run.best()):
                tested = scores(run.folder, "test")[best[0].key]
                self.tracker.log("cell", run.number, 0, {names.test(name): value for name, value in tested.items()})

    def _scores(self, run: CellRun) -> None:
        if best := run.best():
            point, metrics = best
            self.tracker.log("cell", run.number, 0, {names.swept(name): value for name, value in metrics.items()})
            self.tracker.note("cell", run.number, {names.INFERENCE: dict(point.settings)} if point.settings else {})


def best_cell(runs: Sequence[CellRun], metric: str) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Metrics of the cell and point with the best mean over seeds on validation, and its test's figures by seed."""
    groups: dict[str, list[tuple[CellRun, str]]] = {}
    for run in runs:
        for point in run.cell.points:
            name = json.dumps([dict(run.cell.labels), point.key], default=str)
            groups.setdefault(name, []).append((run, point.key))
    valid = {name: [scores(run.folder, "valid")[point] for run, point in group] for name, group in groups.items()}
    best = max(valid, key=lambda name: mean(each[metric] for each in valid[name]))
    found = {names.best(metric): mean(each[metric] for each in valid[best])}
    tested: list[dict[str, Any] | None] = [scores(run.folder, "test").get(point) for run, point in groups[best]]
    known = [each for each in tested if each is not None]
    if len(known) < len(tested):
        return found, {}
    return found, {names.test(name): [each[name] for each in known] for name in known[0]}
