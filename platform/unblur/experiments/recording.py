"""Recording of trials and final runs in MLflow, as a listener."""

from typing import Any, Literal

from unblur.tracking.runs import DIVERGED, INFERENCE, Record
from unblur.tracking.tracker import Tracker
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress

FACTS = {
    "loss": "train/loss",
    "seconds": "train/seconds",
    "efficiency": "train/efficiency",
    "parameters": "model/parameters",
    "memory_mib": "train/memory_mib",
}


class Recorder:
    """A listener that logs trials (or retrains) as child runs; `metric` is the one that decides."""

    def __init__(self, tracker: Tracker, kind: Literal["trial", "retrain"], metric: str) -> None:
        self.tracker, self.kind, self.metric = tracker, kind, metric
        self._noted: dict[int, dict[str, Any]] = {}

    def started(self, number: int, params: dict[str, Any]) -> None:
        self.tracker.start(self.kind, number, params, self._name(number))

    def progressed(self, number: int, progress: Progress) -> None:
        self.tracker.log(self.kind, number, progress.epoch, in_mlflow(progress, self.metric))
        chosen = dict(progress.inference)
        if chosen and chosen != self._noted.get(number):
            self._noted[number] = chosen
            self.tracker.note(self.kind, number, {INFERENCE: chosen})

    def ended(self, number: int, state: State, reason: str | None) -> None:
        if state == State.COMPLETE and reason:
            self.tracker.note(self.kind, number, {DIVERGED: reason})
        self.tracker.end(self.kind, number, state, None if state == State.COMPLETE else reason)

    def _name(self, number: int) -> str | None:
        if self.kind == "trial":
            return None
        return f"retrain of trial {number // 100:04d}, seed {number % 100}"


def in_mlflow(progress: Progress, metric: str) -> dict[str, float]:
    """Numbers of a report under their names in MLflow: ndcg_at_10 becomes valid/ndcg_at_10."""
    named = {f"valid/{name}": value for name, value in progress.metrics.items()}
    if progress.best is not None:
        named[f"valid/best_{metric}"] = progress.best
    named |= {FACTS[name]: value for name, value in progress.facts.items()}
    named |= {
        f"inference/{name}": value for name, value in progress.inference.items() if isinstance(value, int | float)
    }
    return {name: float(value) for name, value in named.items()}


def as_record(trial: TrialRecord, metric: str) -> Record:
    """What the study knows of a trial, for MLflow to agree with."""
    metrics = {epoch: {f"valid/{metric}": value} for epoch, value in trial.values.items()}
    if trial.value is not None:
        metrics[max(metrics)][f"valid/best_{metric}"] = trial.value
    return Record(
        kind="trial",
        number=trial.number,
        params=trial.params,
        state=trial.state,
        metrics=metrics,
        reason=trial.reason,
    )
