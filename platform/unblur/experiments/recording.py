"""From the search's events to MLflow."""

from typing import Any, Literal

from unblur.search.study import TrialRecord
from unblur.tracking.runs import INFERENCE, Record
from unblur.tracking.tracker import Tracker
from unblur.training.loop import SETTING

OWN_NAMES = {
    "loss": "train/loss",
    "seconds": "train/seconds",
    "efficiency": "train/efficiency",
    "parameters": "model/parameters",
    "memory_mib": "train/memory_mib",
}


class Recorder:
    """A listener that logs trials (or retrains) as child runs."""

    def __init__(self, tracker: Tracker, kind: Literal["trial", "retrain"]) -> None:
        self.tracker, self.kind = tracker, kind
        self._noted: dict[int, dict[str, Any]] = {}

    def started(self, number: int, params: dict[str, Any]) -> None:
        self.tracker.start(self.kind, number, params, self._name(number))

    def result(self, number: int, epoch: int, metrics: dict[str, Any]) -> None:
        self.tracker.log(self.kind, number, epoch, in_mlflow(metrics))
        chosen = {name.removeprefix(SETTING): value for name, value in metrics.items() if name.startswith(SETTING)}
        if chosen and chosen != self._noted.get(number):
            self._noted[number] = chosen
            self.tracker.note(self.kind, number, {INFERENCE: chosen})

    def ended(self, number: int, state: str, reason: str | None) -> None:
        self.tracker.end(self.kind, number, state, reason)  # type: ignore[arg-type]

    def _name(self, number: int) -> str | None:
        if self.kind == "trial":
            return None
        return f"retrain of trial {number // 100:04d}, seed {number % 100}"


def in_mlflow(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics under their names in MLflow: ndcg_at_10 becomes valid/ndcg_at_10; what is no number is left out."""
    return {
        OWN_NAMES.get(name, f"valid/{name}"): float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and (name in OWN_NAMES or "_at_" in name)
    } | {
        name: float(value)
        for name, value in metrics.items()
        if name.startswith(SETTING) and isinstance(value, int | float)
    }


def as_record(trial: TrialRecord, metric: str) -> Record:
    """What the study knows of a trial, for MLflow to agree with."""
    metrics = {epoch: {f"valid/{metric}": value} for epoch, value in trial.values.items()}
    if trial.value is not None:
        metrics[max(metrics)][f"valid/best_{metric}"] = trial.value
    return Record(
        kind="trial",
        number=trial.number,
        params=trial.params,
        state=trial.state,  # type: ignore[arg-type]
        metrics=metrics,
        reason=trial.reason,
    )
