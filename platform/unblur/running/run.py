"""Run the tasks of a source on Ray Tune: one Tune run per start of the driver, fed by the source's record."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from ray import tune

from unblur import environment
from unblur.running.leftovers import in_use
from unblur.running.scheduler import TrialScheduler
from unblur.running.tune_hooks import SourceScheduler, SourceSearcher, SourceStopper, TrialWatch
from unblur.running.work import Listener, TaskSource
from unblur.signals import stopping_cleanly

ON_THE_HEAD = {"node:__internal_head__": 0.001}
"""What a trial reserves that only drives others: no CPU, and a place that no spot market takes away. Tune refuses an
empty request."""


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

    def stop() -> None:
        scheduler.stopping = True

    watch = TrialWatch(scheduler, timeout)
    reserved = {kind: amount for kind, amount in resources.items() if amount > 0} or ON_THE_HEAD
    with _quiet(slots), stopping_cleanly(stop), _scratch() as folder:
        try:
            _tuner(trainable, reserved, scheduler, watch, time_budget, folder).fit()
        finally:
            source.release()
    if scheduler.error is not None:
        raise scheduler.error


def _tuner(
    trainable: Callable[[dict[str, Any]], None],
    reserved: Mapping[str, float],
    scheduler: TrialScheduler,
    watch: TrialWatch,
    time_budget: float | None,
    folder: str,
) -> tune.Tuner:
    """A Tune run that asks the scheduler for everything: what is next, what is stopped, and when it is over."""
    return tune.Tuner(
        tune.with_resources(_patient_cleanup(trainable), dict(reserved)),
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
    )


def _patient_cleanup(trainable: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    @wraps(trainable)
    def trial(config: dict[str, Any]) -> None:
        environment.keep(environment.TUNE_TRIAL)
        trainable(config)

    return trial


@contextmanager
def _scratch() -> Iterator[str]:
    """A folder for Tune's own files: nothing in them is needed after the run."""
    folder = tempfile.mkdtemp(prefix="unblur-tune-")
    try:
        with in_use(Path(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet(slots: int) -> Iterator[None]:
    """No tables, log files or advice from Tune: the listeners show what happens."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with environment.variables({**environment.TUNE, "TUNE_MAX_PENDING_TRIALS_PG": str(slots)}):
            yield
    finally:
        logger.setLevel(level)
