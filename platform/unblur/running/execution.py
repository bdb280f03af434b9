"""How a list of tasks is run on the cluster: what each gets, where it runs, and how many run at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import ray

from unblur.running.resources import Resources
from unblur.running.run import run_tasks
from unblur.running.trainable import trainable
from unblur.running.work import Listener, TaskSource, Trainer


@dataclass(frozen=True)
class Execution:
    """One way to run tasks; Ray must be up when there are any."""

    resources: Resources
    """Of each task."""
    trainer: Trainer = "local"
    """In place, or on Ray Train workers."""
    slots: int = 1
    """Tasks at a time."""
    timeout: float | None = None
    """Seconds without a report after which a task is given up."""
    memory: int = 0
    """Bytes that one may take beside PyTorch's own, by estimate; 0 where nothing was estimated."""

    @property
    def reserved(self) -> dict[str, float]:
        """Resources of the process that Tune starts for a task; none where it only drives Ray Train workers.

        With CPUs of its own, two workers on two cores would wait for ever.
        """
        return {} if self.trainer == "ray" else self.resources.per_worker

    def alone(self) -> Self:
        """The same in place, with one worker for each task."""
        return replace(self, resources=replace(self.resources, workers=1), trainer="local")

    def run(
        self,
        source: TaskSource,
        data: Mapping[str, Any],
        listeners: Sequence[Listener] = (),
        time_budget: float | None = None,
    ) -> None:
        """Run the source's tasks; `data` holds what they need by the name that each gives. Raises as `run_tasks`."""
        if not source.left():
            return
        put = {id(each): [ray.put(each)] for each in {id(each): each for each in data.values()}.values()}
        shared = {name: put[id(each)] for name, each in data.items()}
        run_tasks(
            trainable(self.resources, self.trainer, shared),
            source,
            slots=self.slots,
            resources=self.reserved,
            listeners=listeners,
            time_budget=time_budget,
            timeout=self.timeout,
        )
