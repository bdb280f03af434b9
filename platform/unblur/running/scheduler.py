"""The scheduler of a list of tasks, as a plain object: who is next, what is recorded, who may try again."""

import math
from collections import Counter
from collections.abc import Sequence

from unblur.running.retries import Fault, may_try_again
from unblur.running.work import Assignment, Listener, TaskSource
from unblur.training.record import TrialRecord
from unblur.training.report import Finished, Progress


class TrialScheduler:
    """Hands out the tasks of a source, records in it what they report, and calls the listeners.

    Tune takes an exception in a hook for a failure of the trial, so what goes wrong here is kept in `error` and
    ends the run.
    """

    def __init__(self, source: TaskSource, slots: int, listeners: Sequence[Listener] = ()) -> None:
        self.source, self.slots, self.listeners = source, slots, listeners
        self.left = source.left()
        """Tasks that are not begun."""
        self.running: dict[int, int] = {}
        """The running tasks, and the last epoch that the listeners heard of."""
        self._again: list[Assignment] = []
        """Running tasks that are to be begun again."""
        self._given: dict[int, Assignment] = {}
        self._final: dict[int, float] = {}
        """Final values of running tasks, by all users, where evaluations are of a sample of them."""
        self._leaving: set[int] = set()
        """Tasks that are finished and whose functions have not returned. They still hold their slots: Tune would
        start a process for the next task, drop it for the one that comes free, and keep its resources reserved."""
        self._faults: Counter[tuple[int, Fault]] = Counter()
        self.stopping = False
        self.error: Exception | None = None

    def next(self) -> Assignment | None:
        """The next task, or None as long as no slot is free."""
        if self._again:
            return self._again.pop(0)
        if self.left <= 0 or len(self.running) + len(self._leaving) >= self.slots:
            return None
        assignment = self.source.next()
        self.left -= 1
        self.running[assignment.number] = 0
        for listener in self.listeners:
            listener.started(assignment.number, assignment.params)
        self._given[assignment.number] = assignment
        return assignment

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
            self._end(self.source.failed(number, report.reason))
            return True
        self._finish(number, report.diverged)
        self._leaving.add(number)
        return False

    def _progress(self, number: int, progress: Progress) -> bool:
        metric, epoch = self.source.metric, progress.epoch
        value = progress.metrics.get(metric)
        if value is not None and not math.isfinite(value):
            self._end(self.source.failed(number, f"{metric} became {value} at epoch {epoch}"))
            return True
        stop = value is not None and self.source.report(number, epoch, float(value), progress.inference)
        final = progress.best if value is None else None
        if final is not None:
            self._final[number] = float(final)
        if epoch > self.running[number] or final is not None:  # else reported before its task was begun again
            self.running[number] = epoch
            for listener in self.listeners:
                listener.progressed(number, progress)
        if stop:
            self._end(self.source.stopped(number))
        return stop

    def returned(self, number: int) -> None:
        """The task's function is through."""
        self._leaving.discard(number)
        if number in self.running:
            self._finish(number)

    def crashed(self, number: int, reason: str, fault: Fault) -> None:
        """The task went wrong: it is begun again if it may, and goes on from what lies in its folder.

        Once the run is stopping it is only interrupted: whoever stops it may have ended its process.
        """
        self._leaving.discard(number)
        if number not in self.running or self.stopping:
            return
        if may_try_again(fault, self._faults[number, fault]):
            self._faults[number, fault] += 1
            for listener in self.listeners:
                listener.again(number, fault)
            self._again.append(self._given[number])
        else:
            self._end(self.source.failed(number, reason))

    def hangs(self, number: int, seconds: float) -> None:
        """The task has not reported for so long that it is given up; it would hang again."""
        self._leaving.discard(number)
        if number in self.running:
            self._end(self.source.failed(number, f"no report for {seconds:g} s (--trial-timeout)"))

    def settle(self) -> None:
        """Finish what a dead driver had decided, and no more than decided."""
        for record in self.source.settle():
            for listener in self.listeners:
                listener.started(record.number, record.params)
            self.running[record.number] = 0
            self.left -= 1
            self._end(record)

    def _finish(self, number: int, diverged: str | None = None) -> None:
        self._end(self.source.finished(number, self._final.get(number)), diverged)

    def _end(self, record: TrialRecord, diverged: str | None = None) -> None:
        del self.running[record.number]
        self._given.pop(record.number, None)
        self._final.pop(record.number, None)
        for listener in self.listeners:
            listener.ended(record.number, record.state, record.reason or diverged)
