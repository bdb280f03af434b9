"""The same training on Ray Train workers: DDP over a process group that Ray sets up, again after a death."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import ray
import ray.train
from ray.train.torch import TorchTrainer
from ray.util.state import get_node

from unblur.errors import UserError
from unblur.files import under
from unblur.running.reports import to_ray
from unblur.running.resources import Resources
from unblur.running.work import Task
from unblur.training.allocator import keep_freed_memory
from unblur.training.loop import TrainingFailed
from unblur.training.memory import take_share
from unblur.training.report import Finished, Progress
from unblur.training.workers import process_group


def require_dashboard() -> None:
    """UserError where the cluster has no dashboard, or not one that answers.

    Ray Train asks it whether a training that was killed is gone, before it frees what that one held; the next would
    wait for ever.
    """
    context = ray.get_runtime_context()
    try:  # another cluster's may lie at the address where this one's would
        answers = get_node(context.get_node_id(), address=context.gcs_address, timeout=10) is not None
    except Exception:  # of many classes, of HTTP, authentication and Ray
        answers = False
    if not answers:
        raise UserError(
            "Ray Train needs the cluster's dashboard, and none answers: start the head with `ray start --head "
            "--include-dashboard=true`, or train in place (--trainer local, one worker)"
        )


def run_on_workers(task: Task, data: list["ray.ObjectRef"], resources: Resources, callbacks: list[Any]) -> None:
    """Run `task` on `resources.workers` Ray Train workers and wait for its end.

    data: one reference, in a list that keeps Ray from resolving it. callbacks: Ray Train's. A preempted worker is
    replaced; after any other death this raises, and who calls it decides whether to try again. A training resumes from
    its own checkpoints (`Task.folder`), so Ray Train's are not used. The last report is `Finished`.
    """
    TorchTrainer(
        _train_loop,
        train_loop_config={"task": task, "data": data, "gpus": resources.gpus},
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=resources.gpus > 0,
            resources_per_worker=resources.per_worker,
        ),
        run_config=ray.train.RunConfig(
            name=f"train-{uuid4().hex}",  # a name that was used before would make Ray resume that run
            storage_path=under(task.folder, "ray"),
            callbacks=callbacks,
            failure_config=ray.train.FailureConfig(max_failures=0),
        ),
    ).fit()


def _train_loop(config: dict[str, Any]) -> None:
    """What every worker runs; all ranks report the same number of times, as Ray Train demands."""
    take_share(config["gpus"])
    keep_freed_memory()
    task, data = config["task"], ray.get(config["data"][0])

    def report(progress: Progress) -> None:
        ray.train.report(to_ray(progress))

    try:
        outcome = task.run(data, report, replace(process_group(), notice=_notice))
    except (TrainingFailed, UserError) as failure:
        ray.train.report(to_ray(Finished(str(failure))))
    else:
        ray.train.report(to_ray(Finished(diverged=outcome.diverged if outcome else None)))


def _notice() -> bool:
    return ray.train.get_preemption_info() is not None
