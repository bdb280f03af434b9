"""Run the tasks of a source on Ray Tune, fed by the source's record."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unblur.running.rounds import Round
from unblur.running.scheduler import TrialScheduler
from unblur.running.tune_run import kept, tune_run
from unblur.running.work import Listener, TaskSource
from unblur.signals import stopping_cleanly


def run_tasks(
    trainable: Callable[[dict[str, Any]], None],
    source: TaskSource,
    *,
    slots: int,
    resources: Mapping[str, float],
    listeners: Sequence[Listener] = (),
    time_budget: float | None = None,
    timeout: float | None = None,
) -> None:
    """Run tasks, `slots` at a time, until the source has none left or `time_budget` seconds have passed.

    `trainable(config)`, a function that is not a method, gets the `number`, the `task` and the name of the `data` of an
    assignment. It calls `reports.report` with the `Progress` of each evaluation, and at last with `Finished`, whose
    reason is a failure that would only come again. It may be stopped in any report. `resources` is what its process
    reserves, nothing for one that only drives workers which reserve for themselves. A task that goes wrong is begun
    again as `retries` says, and failed after that; one that does not report for `timeout` seconds, the time in which
    its workers come up included, is failed and its process killed. Ray must be up, unless nothing is left.

    Raises KeyboardInterrupt after a clean stop on Ctrl-C or SIGTERM (a second one does not wait), and what the source
    and the listeners raise. In all cases running tasks stay in the record as interrupted, and the next run goes on with
    them; so do those that run when the time is up.
    """
    scheduler = TrialScheduler(source, slots, listeners)
    if scheduler.left <= 0:
        return
    scheduler.settle()
    if scheduler.left <= 0:
        return

    def stop() -> None:
        scheduler.stopping = True

    round = Round(scheduler, trainable, time_budget, timeout or math.inf)
    with stopping_cleanly(stop), kept():
        try:
            tune_run(resources, slots).work(round)
        finally:
            source.release()
    if scheduler.error is not None:
        raise scheduler.error
