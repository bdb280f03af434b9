"""One search as a plain object: hands out trials, records what they report, decides who may try again."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from unblur.running.retries import Fault, may_try_again
from unblur.seeds import derive
from unblur.training.record import State, TrialRecord
from unblur.training.report import Finished, Progress


class Listener(Protocol):
    """Someone who follows the search in the driver; called in order, never at the same time."""

    def started(self, number: int, params: dict[str, Any]) -> None:
        """A trial begins, or goes on after an interruption."""

    def progressed(self, number: int, progress: Progress) -> None:
        """A trial was evaluated."""

    def ended(self, number: int, state: State, reason: str | None) -> None:
        """A trial is COMPLETE, PRUNED or FAIL for good; `reason` begins with a line that says why it failed, or how a
        complete one diverged after its best evaluation."""


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

    def complete(self, number: int, value: float | None = None, /) -> TrialRecord: ...

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
        self._waiting: list[dict[str, Any]] = []
        """Configs of running trials that are to be begun again."""
        self._given: dict[int, dict[str, Any]] = {}
        self._final: dict[int, float] = {}
        """Final values of running trials, by all users, where evaluations are of a sample of them."""
        self._leaving: set[int] = set()
        """Trials that are finished and whose functions have not returned. They still hold their places: Tune would
        start a process for the next trial, drop it for the one that comes free, and keep its resources reserved."""
        self._faults: Counter[tuple[int, Fault]] = Counter()
        self.stopping = False
        self.error: Exception | None = None

    def next(self) -> dict[str, Any] | None:
        """The next trial's config, or None as long as no place is free."""
        if self._waiting:
            return self._waiting.pop(0)
        if self.left <= 0 or len(self.running) + len(self._leaving) >= self.concurrency:
            return None
        number, params = self.study.ask()
        self.left -= 1
        self.running[number] = 0
        for listener in self.listeners:
            listener.started(number, params)
        seed = derive("training", self.study.identity.seed, number)
        self._given[number] = {"number": number, "params": params, "seed": seed}
        return self._given[number]

    @property
    def over(self) -> bool:
        """Whether there is nothing left to begin, not even again."""
        return self.stopping or (self.left <= 0 and not self.running)

    def report(self, number: int, report: Progress | Finished) -> bool:
        """Record a report; True means stop."""
        if number not in self.running:
            return True
        if isinstance(report, Progress):
            return self._progress(number, report)
        if report.reason is not None:
            self._end(self.study.fail(number, report.reason))
            return True
        self._complete(number, report.diverged)
        self._leaving.add(number)
        return False

    def _progress(self, number: int, progress: Progress) -> bool:
        metric, epoch = self.study.identity.metric, progress.epoch
        value = progress.metrics.get(metric)
        if value is not None and not math.isfinite(value):
            self._end(self.study.fail(number, f"{metric} became {value} at epoch {epoch}"))
            return True
        stop = value is not None and self.study.report(number, epoch, float(value))
        final = progress.best if value is None else None
        if final is not None:
            self._final[number] = float(final)
        if epoch > self.running[number] or final is not None:  # else reported before its trial was begun again
            self.running[number] = epoch
            for listener in self.listeners:
                listener.progressed(number, progress)
        if stop:
            self._end(self.study.prune(number))
        return stop

    def returned(self, number: int) -> None:
        """The trial function is through."""
        self._leaving.discard(number)
        if number in self.running:
            self._complete(number)

    def crashed(self, number: int, reason: str, fault: Fault) -> None:
        """The trial went wrong: it is begun again if it may, and goes on from its newest checkpoint.

        Once the search is stopping it is only interrupted: whoever stops it may have ended its process.
        """
        self._leaving.discard(number)
        if number not in self.running or self.stopping:
            return
        if may_try_again(fault, self._faults[number, fault]):
            self._faults[number, fault] += 1
            self._waiting.append(self._given[number])
        else:
            self._end(self.study.fail(number, reason))

    def hangs(self, number: int, seconds: float) -> None:
        """The trial has not reported for so long that it is given up; it would hang again."""
        self._leaving.discard(number)
        if number in self.running:
            self._end(self.study.fail(number, f"no report for {seconds:g} s (--trial-timeout)"))

    def settle(self) -> None:
        """Finish what a dead driver had decided, and no more than decided."""
        for record in self.study.settle():
            for listener in self.listeners:
                listener.started(record.number, record.params)
            self.running[record.number] = 0
            self.left -= 1
            self._end(record)

    def _complete(self, number: int, diverged: str | None = None) -> None:
        self._end(self.study.complete(number, self._final.get(number)), diverged)

    def _end(self, record: TrialRecord, diverged: str | None = None) -> None:
        del self.running[record.number]
        self._given.pop(record.number, None)
        self._final.pop(record.number, None)
        for listener in self.listeners:
            listener.ended(record.number, record.state, record.reason or diverged)
