"""A source of tasks that are known beforehand; what a finished one leaves in its folder is the record."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unblur.running.work import Assignment
from unblur.training.record import State, TrialRecord


class TaskList:
    """A fixed list of tasks.

    assignments: all of them, in the order in which they are begun. done: whether what an assignment's task leaves is
    there. metric: the validation metric that decides. at_most: begin no more than so many in this run.
    """

    def __init__(
        self,
        assignments: Sequence[Assignment],
        done: Callable[[Assignment], bool],
        metric: str,
        at_most: int | None = None,
    ) -> None:
        self.assignments, self.done, self.metric, self.at_most = assignments, done, metric, at_most
        self.failures: dict[int, str] = {}
        """Reasons of those that failed in this process, by number."""
        self._given: dict[int, Assignment] = {}
        self._waiting: list[Assignment] = []

    def missing(self) -> list[Assignment]:
        """Those that are not done."""
        return [each for each in self.assignments if not self.done(each)]

    def left(self) -> int:
        self._waiting = self.missing()[: self.at_most]
        return len(self._waiting)

    def settle(self) -> list[TrialRecord]:
        return []

    def next(self) -> Assignment:
        assignment = self._waiting.pop(0)
        self._given[assignment.number] = assignment
        return assignment

    def report(self, number: int, epoch: int, value: float, inference: Mapping[str, Any]) -> bool:
        return False

    def finished(self, number: int, value: float | None) -> TrialRecord:
        if not self.done(self._given[number]):
            return self.failed(number, "it ended without leaving its result")
        return self._record(number, State.COMPLETE)

    def stopped(self, number: int) -> TrialRecord:
        raise AssertionError("nothing in a fixed list is stopped early")

    def failed(self, number: int, reason: str) -> TrialRecord:
        self.failures[number] = reason
        return self._record(number, State.FAIL, reason)

    def release(self) -> None:
        self._given.clear()

    def _record(self, number: int, state: State, reason: str | None = None) -> TrialRecord:
        return TrialRecord(number, state, self._given[number].params, reason=reason)
