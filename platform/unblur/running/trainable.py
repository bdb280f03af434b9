"""What Ray runs for one trial or one retrain: in place in a reused actor, or on Ray Train workers of its own."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import ray

from unblur.errors import UserError
from unblur.files import under
from unblur.running.ray_train import fit_on_workers
from unblur.running.reports import report
from unblur.running.resources import Resources
from unblur.search.inference_grid import grid
from unblur.search.space import Parameter
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import Plan, TrainingFailed
from unblur.training.report import Finished
from unblur.training.task import Task, run

Trainer = Literal["local", "ray"]


@dataclass(frozen=True)
class Work:
    """What all trials of a study (or all retrains of its best) have in common."""

    model: str
    plan: Plan
    resources: Resources
    trainer: Trainer
    folder: str
    """Path or URI; each trial works in `<folder>/<number>`."""
    keep: bool = False
    """Save the trained models."""
    swept: dict[str, Parameter] = field(default_factory=dict)
    """Parameters of inference, of which each evaluation takes the best values."""

    def bundle(self) -> dict[str, float]:
        """What Tune reserves for a trial; nothing for one that only drives Ray Train workers.

        With CPUs of its own, two workers on two cores would wait for ever.
        """
        return {} if self.trainer == "ray" else self.resources.per_worker

    def clean(self, number: int) -> None:
        """Delete the folder of a trial that has ended."""
        Checkpoints(under(self.folder, f"{number:05d}")).clear()

    def task(self, number: int, params: dict[str, Any], seed: int) -> Task:
        return Task(
            model=self.model,
            params=params,
            seed=seed,
            plan=self.plan,
            folder=under(self.folder, f"{number:05d}"),
            keep=self.keep,
            grid=tuple(grid(self.model, self.swept, params)),
        )


def trial(work: Work, split: "ray.ObjectRef") -> Callable[[dict[str, Any]], None]:
    """The Tune function of `work` on the data in the object store; its config holds number, params and seed."""
    return functools.partial(_in_place if work.trainer == "local" else _on_workers, work, [split])


def _in_place(work: Work, split: list["ray.ObjectRef"], config: dict[str, Any]) -> None:
    work.resources.settle()

    try:
        outcome = run(work.task(**config), ray.get(split[0]), report)
    except (TrainingFailed, UserError) as failure:
        report(Finished(str(failure)))
    else:
        report(Finished(diverged=outcome.diverged))


def _on_workers(work: Work, split: list["ray.ObjectRef"], config: dict[str, Any]) -> None:
    from ray.tune.integration.ray_train import TuneReportCallback

    fit_on_workers(work.task(**config), split[0], work.resources, [TuneReportCallback()])
