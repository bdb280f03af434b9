"""Run the tasks of a source on Ray Tune: one Tune run per start of the driver, fed by the source's record."""

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any

from ray import tune

from unblur.running.scheduler import TrialScheduler
from unblur.running.tune_hooks import SourceScheduler, SourceSearcher, SourceStopper, TrialWatch
from unblur.running.work import Listener, TaskSource

ON_THE_HEAD = {"node:__internal_head__": 0.001}
"""What a trial reserves that only drives others: no CPU, and a place that no spot market takes away. Tune refuses an
empty request."""
THREAD_SECONDS = "60"
"""How long a stopped trial function may take to clean up before its process is given up."""


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

    `trainable(config)` gets the `number`, the `task` and the name of the `data` of an assignment. It calls
    `reports.report` with the `Progress` of each evaluation, and at last with `Finished`, whose reason is a failure that
    would only come again. It may be stopped in any report. `resources` is what its process reserves, nothing for one
    that only drives workers which reserve for themselves. A task that goes wrong is begun again as `retries` says, and
    failed after that; one that does not report for `timeout` seconds, the time in which its workers come up included,
    is failed and its process killed. Ray must be up, unless nothing is left.

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
    watch = TrialWatch(scheduler, timeout)
    reserved = {kind: amount for kind, amount in resources.items() if amount > 0} or ON_THE_HEAD
    with _quiet(slots), _interruptible(scheduler), _scratch() as folder:
        try:
            tune.Tuner(
                tune.with_resources(_patient_cleanup(trainable), reserved),
                tune_config=tune.TuneConfig(
                    num_samples=-1,  # as many as the searcher gives: a task begun again is a new trial to Tune
                    search_alg=SourceSearcher(scheduler),
                    scheduler=SourceScheduler(scheduler),
                    time_budget_s=time_budget,
                    # a trial that waits for workers of its own is not in a report when it is stopped
                    reuse_actors=bool(reserved.keys() & {"CPU", "GPU"}),
                    trial_dirname_creator=lambda trial: f"trial-{trial.config['number']}-{trial.trial_id}",
                ),
                run_config=tune.RunConfig(
                    name="tasks",
                    storage_path=folder,
                    verbose=0,
                    stop=SourceStopper(scheduler, watch),
                    callbacks=[watch],
                    failure_config=tune.FailureConfig(max_failures=0),  # of a preemption, Tune counts nothing
                ),
            ).fit()
        finally:
            source.release()
    if scheduler.error is not None:
        raise scheduler.error


def _patient_cleanup(trainable: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    @wraps(trainable)
    def trial(config: dict[str, Any]) -> None:
        # read by Tune in the trial's process when the next trial takes it over
        os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = THREAD_SECONDS
        trainable(config)

    return trial


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder for Tune's own files: nothing in them is needed after the run."""
    folder = tempfile.mkdtemp(prefix="unblur-tune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet(slots: int) -> Iterator[None]:
    """No tables, log files or advice from Tune: the listeners show what happens."""
    os.environ |= {
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "86400",
        "TUNE_MAX_PENDING_TRIALS_PG": str(slots),
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _interruptible(scheduler: TrialScheduler) -> Iterator[None]:
    """Let a first Ctrl-C (or SIGTERM) stop the run cleanly and a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = scheduler.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
