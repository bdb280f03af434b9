"""The function that Ray runs for a task: in place in a reused actor, or on Ray Train workers of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import ray

from unblur.errors import UserError
from unblur.running.ray_train import run_on_workers
from unblur.running.reports import report
from unblur.running.resources import Resources
from unblur.running.work import Trainer
from unblur.training.loop import TrainingFailed
from unblur.training.report import Finished
from unblur.training.workers import Workers

Data = Mapping[str, list["ray.ObjectRef"]]
"""References to what tasks need, by name. The lists keep Ray from resolving them into a copy in every config."""


def trainable(resources: Resources, trainer: Trainer, data: Data) -> Callable[[dict[str, Any]], None]:
    """Tune's function; its config holds the `number` of a task, the `task` and the name of its `data`."""
    step = _in_place if trainer == "local" else _on_workers

    def run(config: dict[str, Any]) -> None:  # Tune copies what it is given, all but functions
        step(resources, data, config)

    return run


def _in_place(resources: Resources, data: Data, config: dict[str, Any]) -> None:
    resources.settle()
    try:
        outcome = config["task"].run(ray.get(data[config["data"]][0]), report, Workers())
    except (TrainingFailed, UserError) as failure:
        report(Finished(str(failure)))
    else:
        report(Finished(diverged=outcome.diverged if outcome else None))


def _on_workers(resources: Resources, data: Data, config: dict[str, Any]) -> None:
    from ray.tune.integration.ray_train import TuneReportCallback

    run_on_workers(config["task"], data[config["data"]], resources, [TuneReportCallback()])
