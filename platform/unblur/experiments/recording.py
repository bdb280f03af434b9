"""Recording of trials and final runs in MLflow, as a listener."""

from typing import Any, Literal

from unblur.tracking import names
from unblur.tracking.runs import Record
from unblur.tracking.tracker import Tracker
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress


class Recorder:
    """A listener that logs trials (or retrains) as child runs; `metric` is the one that decides."""

    def __init__(self, tracker: Tracker, kind: Literal["trial", "retrain"], metric: str) -> None:
        self.tracker, self.kind, self.metric = tracker, kind, metric
        self._noted: dict[int, dict[str, Any]] = {}

    def started(self, number: int, params: dict[str, Any]) -> None:
        if self.kind == "trial":
            self.tracker.start("trial", number, params)
            return
        tags = names.retrain_tags(number)
        title = f"retrain of trial {tags[names.CONFIGURATION]:04d}, seed {tags[names.SEED]}"
        self.tracker.start("retrain", number, params, title)
        self.tracker.note("retrain", number, tags)

    def progressed(self, number: int, progress: Progress) -> None:
        self.tracker.log(self.kind, number, progress.epoch, names.of_progress(progress, self.metric))
        chosen = dict(progress.inference)
        if chosen and chosen != self._noted.get(number):
            self._noted[number] = chosen
            self.tracker.note(self.kind, number, {names.INFERENCE: chosen})

    def ended(self, number: int, state: State, reason: str | None) -> None:
        if state == State.COMPLETE and reason:
            self.tracker.note(self.kind, number, {names.DIVERGED: reason})
        self.tracker.end(self.kind, number, state, None if state == State.COMPLETE else reason)


def as_record(trial: TrialRecord, metric: str) -> Record:
    """What the study knows of a trial, for MLflow to agree with."""
    metrics = {epoch: {names.valid(metric): value} for epoch, value in trial.values.items()}
    if trial.value is not None:
        metrics[max(metrics)][names.best(metric)] = trial.value
    return Record(
        kind="trial",
        number=trial.number,
        params=trial.params,
        state=trial.state,
        metrics=metrics,
        reason=trial.reason,
    )
