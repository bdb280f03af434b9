"""The engine without Ray: tasks one after the other in this process, through the real scheduler.

With fixtures for tests of what becomes of a finished study.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.jobs import here
from tests.helpers.mlflow_store import new_database
from unblur.errors import UserError
from unblur.experiments.study_run import StudyRun
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.running.scheduler import TrialScheduler
from unblur.running.work import Listener, TaskSource
from unblur.training.loop import TrainingFailed
from unblur.training.report import Finished, Progress
from unblur.training.workers import Workers


@contextmanager
def engine() -> Iterator[None]:
    """Searches, final runs and ablations that are begun in the block run here, and start no cluster."""
    with pytest.MonkeyPatch.context() as patch:
        for entry in ("study_run", "refit", "ablate"):
            patch.setattr(f"unblur.experiments.{entry}.ray_cluster", nullcontext)
        patch.setattr(StudyRun, "_plan", lambda *_: Execution(Resources()))
        for entry in ("refit", "ablation_run"):
            patch.setattr(f"unblur.experiments.{entry}.plan_execution", lambda *_: (Execution(Resources()), ""))
        patch.setattr(Execution, "run", _run)
        yield


@pytest.fixture
def without_ray() -> Iterator[None]:
    with engine():
        yield


@pytest.fixture(scope="module")
def flags(data_flags: list[str]) -> list[object]:
    return [*data_flags, "--model", "ease", "--trials", 2, "--seeds", 1, "--summary", "s.json"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, flags: list[object]) -> Path:
    """A folder with a finished study."""
    folder = tmp_path_factory.mktemp("finished")
    new_database(folder)
    with engine():
        done = here(folder, "tune", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _run(
    execution: Execution,
    source: TaskSource,
    data: Mapping[str, Any],
    listeners: Sequence[Listener] = (),
    time_budget: float | None = None,
) -> None:
    scheduler, begun = TrialScheduler(source, 1, listeners), time.monotonic()
    if scheduler.left:
        scheduler.settle()
    try:
        while scheduler.left:
            _one(scheduler, data)
            if time_budget is not None and time.monotonic() - begun > time_budget:
                break
    finally:
        source.release()


def _one(scheduler: TrialScheduler, data: Mapping[str, Any]) -> None:
    assignment = scheduler.next()
    assert assignment is not None
    number = assignment.number

    def report(what: Progress | Finished) -> None:
        scheduler.report(number, what)

    try:
        outcome = assignment.task.run(data[assignment.data], report, Workers())
    except (TrainingFailed, UserError) as failure:
        report(Finished(str(failure)))
    else:
        report(Finished(diverged=outcome.diverged if outcome else None))
        scheduler.returned(number)
