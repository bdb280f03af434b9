"""One Tune run for many lists of tasks: the processes of one list serve the next.

A process of a trial takes seconds to start, most of them for imports. A study has several short lists (trials, final
runs, tests), and a command several studies.
"""

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from unblur import environment
from unblur.errors import RunFailed
from unblur.running.leftovers import in_use
from unblur.running.rounds import Round, Rounds
from unblur.running.tune_hooks import SourceScheduler, SourceSearcher, SourceStopper, TrialWatch

ON_THE_HEAD = {"node:__internal_head__": 0.001}
"""What a trial reserves that only drives others: no CPU, and a place that no spot market takes away. Tune refuses an
empty request."""
INTERRUPTED_SECONDS = 2.0
"""For the end of a run when the driver was told to stop at once."""


class TuneRun:
    """A Tune run in a thread of its own, which works on one list after the other.

    resources: of each trial's process; nothing for one that only drives workers which reserve for themselves. slots:
    trials at a time, at most.
    """

    def __init__(self, resources: Mapping[str, float], slots: int) -> None:
        self.kind = (dict(resources), slots)
        self._rounds = Rounds()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tune", daemon=True)
        self._thread.start()

    def fits(self, resources: Mapping[str, float], slots: int) -> bool:
        """Whether this run takes another list, of trials with such needs."""
        return self._thread.is_alive() and not self._rounds.closed and self.kind == (dict(resources), slots)

    def work(self, round: Round) -> None:
        """Work on a list until it is over, is stopped, or its time is up; raises what ends the Tune run.

        What the Tune run asks its hooks is answered in this thread.
        """
        try:
            self._rounds.begin(round)
            round.serve(self._thread)
        finally:
            self._rounds.drop(round)
        if self._failure is not None:
            raise self._failure
        if not round.ended:
            raise RunFailed("Ray Tune ended before the tasks did; the same command goes on with them")

    def close(self, seconds: float | None = None) -> None:
        """End the run and its processes; wait so long for it, or for ever."""
        self._rounds.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with _quiet(self.kind[1]), _scratch() as folder:
                _tuner(*self.kind, self._rounds, folder).fit()
        except BaseException as error:
            self._failure = error
        finally:
            self._rounds.close()


_depth, _open = 0, list[TuneRun]()
"""Blocks of `kept` around, and the run that waits for more."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep the processes of trials for the next list until the end of the outermost of such blocks."""
    global _depth
    _depth += 1
    try:
        yield
    except KeyboardInterrupt:
        _close(INTERRUPTED_SECONDS)
        raise
    finally:
        _depth -= 1
        if not _depth:
            _close()


def tune_run(resources: Mapping[str, float], slots: int) -> TuneRun:
    """The run that waits for more if it has such processes; another one in its place otherwise."""
    if not (_open and _open[0].fits(resources, slots)):
        _close()
        _open.append(TuneRun(resources, slots))
    return _open[0]


def _close(seconds: float | None = None) -> None:
    while _open:
        _open.pop().close(seconds)


def _trial(config: dict[str, Any]) -> None:
    environment.keep(environment.TUNE_TRIAL)
    config["run"](config)


def _tuner(resources: Mapping[str, float], slots: int, rounds: Rounds, folder: str) -> tune.Tuner:
    """A Tune run that asks the rounds for everything: what is next, what is stopped, and when it is over."""
    reserved = {kind: amount for kind, amount in resources.items() if amount > 0} or ON_THE_HEAD
    watch = TrialWatch(rounds)
    return tune.Tuner(
        tune.with_resources(_trial, reserved),
        tune_config=tune.TuneConfig(
            num_samples=-1,  # as many as the searcher gives: a task begun again is a new trial to Tune
            search_alg=SourceSearcher(rounds),
            scheduler=SourceScheduler(rounds),
            # a trial that waits for workers of its own is not in a report when it is stopped
            reuse_actors=bool(reserved.keys() & {"CPU", "GPU"}),
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="tasks",
            storage_path=folder,
            verbose=0,
            stop=SourceStopper(rounds, watch),
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=0),  # of a preemption, Tune counts nothing
        ),
    )


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
