"""Tasks and where they come from: what the scheduler runs, as protocols."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from unblur.running.retries import Fault
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress, Report

if TYPE_CHECKING:  # what drives tasks needs no PyTorch: who brings a task brings what it needs
    from unblur.training.loop import Outcome
    from unblur.training.workers import Workers

Trainer = Literal["local", "ray"]
"""Where a training runs: in place, or on Ray Train workers."""


class Task(Protocol):
    """A piece of work for one slot of the cluster: a training, the scoring of a trained model, or both."""

    @property
    def folder(self) -> str:
        """Path or URI of the task's own folder; what lies there lets a task that died go on."""

    def run(self, data: Any, report: Report, workers: "Workers", /) -> "Outcome | None":
        """Do the work on every worker; TrainingFailed or UserError when trying again would not help.

        Returns the outcome of a training, None for other work.
        """


@dataclass(frozen=True)
class Assignment:
    """A numbered task, with the parameters by which people know it and the name of the data that it needs."""

    number: int
    params: dict[str, Any]
    task: Task
    data: str = ""


class TaskSource(Protocol):
    """A list of tasks, and the record of what became of them."""

    @property
    def metric(self) -> str:
        """The validation metric that decides (`ndcg_at_10`)."""

    def left(self) -> int:
        """How many tasks are to be finished, at the start of a run."""

    def settle(self) -> list[TrialRecord]:
        """End the tasks whose driver died between the decision and the act; returns their records."""

    def next(self) -> Assignment:
        """The next task, those first that an earlier driver has left unfinished."""

    def report(self, number: int, epoch: int, value: float, inference: Mapping[str, Any]) -> bool:
        """Record a validation value, and the settings of inference of the best so far; True means that the task is to
        be stopped."""

    def finished(self, number: int, value: float | None) -> TrialRecord:
        """End a task that went well, with its final value if it reported one apart from its evaluations."""

    def stopped(self, number: int) -> TrialRecord:
        """End a task that `report` wanted stopped."""

    def failed(self, number: int, reason: str) -> TrialRecord:
        """End a task that went wrong for good."""

    def release(self) -> None:
        """Let go of the running tasks: they count as interrupted."""


class Listener:
    """An observer of a run in the driver, which overrides what it wants to hear; called in order, never at the same
    time."""

    def started(self, number: int, params: dict[str, Any]) -> None:
        """A task begins, or goes on after an interruption."""

    def progressed(self, number: int, progress: Progress) -> None:
        """A task's model was evaluated."""

    def again(self, number: int, fault: Fault) -> None:
        """A task went wrong by this fault, and is begun again from what lies in its folder."""

    def ended(self, number: int, state: State, reason: str | None) -> None:
        """A task is COMPLETE, PRUNED or FAIL for good; `reason` begins with a line that says why it failed, or how
        a complete one diverged after its best evaluation."""
