"""Ray Tune's hooks, all of them answered from the study: what to try next, when to stop, what became of a trial."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.result import AUTO_RESULT_KEYS
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from unblur.tuning.identity import trial_seed
from unblur.tuning.study import TrialRecord

_NOT_METRICS = {*AUTO_RESULT_KEYS, "epoch", "finished", "failed", "done", "trial_id", "experiment_tag"}


class Listener(Protocol):
    """Someone who follows the search in the driver; called in order, never at the same time."""

    def started(self, number: int, params: dict[str, Any]) -> None:
        """A trial begins, or goes on after an interruption."""

    def result(self, number: int, epoch: int, metrics: dict[str, Any]) -> None:
        """A trial reported."""

    def ended(self, number: int, state: str, reason: str | None) -> None:
        """A trial is `complete`, `pruned` or `failed` for good; `reason` begins with a line that says why."""


class Identity(Protocol):
    """What the search needs to know of a study's identity."""

    @property
    def seed(self) -> int: ...

    @property
    def metric(self) -> str: ...


class Record(Protocol):
    """What the search asks of a study; `Study` says what each method does."""

    @property
    def identity(self) -> Identity: ...

    def missing(self, n_trials: int, /) -> int: ...

    def settle(self) -> list[TrialRecord]: ...

    def ask(self) -> tuple[int, dict[str, Any]]: ...

    def report(self, number: int, epoch: int, value: float) -> bool: ...

    def complete(self, number: int) -> TrialRecord: ...

    def prune(self, number: int) -> TrialRecord: ...

    def fail(self, number: int, reason: str) -> TrialRecord: ...

    def release(self) -> None: ...


class Conductor:
    """One search: hands out trials, records what they report, tells the listeners.

    Tune takes an exception in a hook for a failure of the trial, so what goes wrong here is kept in `error` and
    ends the search.
    """

    def __init__(self, study: Record, n_trials: int, concurrency: int, listeners: Sequence[Listener]) -> None:
        self.study, self.listeners = study, listeners
        self.left, self.concurrency = study.missing(n_trials), concurrency
        self.running: dict[int, int] = {}
        """The running trials and the last epoch that the listeners heard of."""
        self.stopping = False
        self.error: Exception | None = None

    def next(self) -> dict[str, Any] | None:
        """The next trial's config, or None as long as no place is free."""
        if len(self.running) >= self.concurrency:
            return None
        number, params = self.study.ask()
        self.left -= 1
        self.running[number] = 0
        for listener in self.listeners:
            listener.started(number, params)
        return {"number": number, "params": params, "seed": trial_seed(self.study.identity.seed, number)}

    def result(self, number: int, result: dict[str, Any]) -> bool:
        """Record a report; True means stop."""
        if number not in self.running:
            return True
        epoch, value = int(result.get("epoch", 0)), result.get(self.study.identity.metric)
        reason = result.get("failed")
        if reason is None and value is not None and not math.isfinite(value):
            reason = f"{self.study.identity.metric} became {value} at epoch {epoch}"
        if reason is not None:
            self._end(self.study.fail(number, str(reason)))
            return True
        stop = value is not None and self.study.report(number, epoch, float(value))
        if epoch > self.running[number]:  # else told before: a trial begun again, or the summary at the end
            self.running[number] = epoch
            metrics = {k: v for k, v in result.items() if k not in _NOT_METRICS and not k.startswith("config/")}
            for listener in self.listeners:
                listener.result(number, epoch, metrics)
        if result.get("finished"):
            self._end(self.study.complete(number))
        elif stop:
            self._end(self.study.prune(number))
        return stop

    def returned(self, number: int) -> None:
        """The trial function is through."""
        if number in self.running:
            self._end(self.study.complete(number))

    def crashed(self, number: int, reason: str) -> None:
        """The trial cannot be saved."""
        if number in self.running:
            self._end(self.study.fail(number, reason))

    def settle(self) -> None:
        """Finish what a dead driver had decided, and no more than decided."""
        for record in self.study.settle():
            for listener in self.listeners:
                listener.started(record.number, record.params)
            self.running[record.number] = 0
            self.left -= 1
            self._end(record)

    def _end(self, record: TrialRecord) -> None:
        del self.running[record.number]
        for listener in self.listeners:
            listener.ended(record.number, record.state, record.reason)


class _Hook:
    """Tune pickles its searcher, scheduler and callbacks into its own state; nothing of ours belongs there."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self.conductor = conductor

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def guard(self, call: Any, *args: Any) -> Any:
        """Call the conductor; an exception there ends the search instead of the trial."""
        try:
            return call(*args)
        except Exception as error:
            self.conductor.error, self.conductor.stopping = error, True
            return None


class StudySearcher(_Hook, Searcher):
    def suggest(self, trial_id: str) -> Any:
        conductor = self.conductor
        if conductor.left <= 0 or conductor.stopping:
            return Searcher.FINISHED
        return self.guard(conductor.next)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler and the watch see more than the searcher."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the record is the study."""


class StudyScheduler(_Hook, FIFOScheduler):
    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        stop = self.guard(self.conductor.result, trial.config["number"], result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.guard(self.conductor.returned, trial.config["number"])


class StudyWatch(_Hook, Callback):
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune has no one hook for all the ways in which a trial ends in error; its status shows them all."""
        for trial in trials:
            if trial.status == Trial.ERROR and trial.config["number"] in self.conductor.running:
                self.guard(self.conductor.crashed, trial.config["number"], reason_of(trial))


class StudyStopper(_Hook, Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.conductor.stopping


def reason_of(trial: Trial) -> str:
    """Why Tune gave a trial up: one line, then the whole text of the last failure."""
    try:
        written = Path(trial.error_file).read_text(encoding="utf-8")
        text = written.rpartition("Failure # ")[2].partition("\n")[2].strip()
    except (OSError, TypeError):
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["the trial's process was lost"]
    died = next((line for line in lines if line.startswith("The actor is dead because")), None)
    return f"{(died or lines[-1])[:300]}\n{text[-4000:]}".strip()
