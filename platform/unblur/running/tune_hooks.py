"""Ray Tune's hooks, all answered by the scheduler: what to run next, when to stop, what became of a trial."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from unblur.running.reports import from_ray
from unblur.running.retries import fault_of
from unblur.running.scheduler import TrialScheduler

STEP_SECONDS = 2.0
"""What a step of Tune's loop, which takes a fraction of a second, counts at most."""


class AwakeClock:
    """Seconds in which this process ran, told by its steps.

    A driver that stood still (Ctrl-Z, a suspended job, a machine that was paused) heard of nobody, and all that was
    meant for it comes only now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last, self.seconds = clock, clock(), 0.0

    def step(self) -> None:
        now = self._clock()
        self.seconds += min(now - self._last, STEP_SECONDS)
        self._last = now


class _Hook:
    """Tune pickles its searcher, scheduler and callbacks into its own state; nothing of ours belongs there."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        super().__init__()
        self.scheduler = scheduler

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def guard(self, call: Any, *args: Any) -> Any:
        """Call the scheduler; an exception there ends the run instead of the trial."""
        try:
            return call(*args)
        except Exception as error:
            self.scheduler.error, self.scheduler.stopping = error, True
            return None


class SourceSearcher(_Hook, Searcher):
    def suggest(self, trial_id: str) -> Any:
        return Searcher.FINISHED if self.scheduler.over else self.guard(self._config)

    def _config(self) -> dict[str, Any] | None:
        found = self.scheduler.next()
        return None if found is None else {"number": found.number, "task": found.task, "data": found.data}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler and the watch see more than the searcher."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the record is the source."""


class SourceScheduler(_Hook, FIFOScheduler):
    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        report = from_ray(result)
        stop = report is not None and self.guard(self.scheduler.report, trial.config["number"], report)
        return str(FIFOScheduler.STOP if stop else FIFOScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.guard(self.scheduler.returned, trial.config["number"])


class TrialWatch(_Hook, Callback):
    """Sees how trials end in error, and that they go on reporting within `timeout` seconds."""

    def __init__(
        self, scheduler: TrialScheduler, timeout: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(scheduler)
        self.timeout, self._awake = timeout or math.inf, AwakeClock(clock)
        self._heard: dict[str, float] = {}
        """When each running trial was last heard of, by the clock above."""
        self._lost: set[str] = set()
        self._begun: dict[str, Trial] = {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._heard[trial.trial_id] = self._awake.seconds
        self._begun[trial.trial_id] = trial

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._heard[trial.trial_id] = self._awake.seconds

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tune has no one hook for all the ways in which a trial ends in error; its status shows them all."""
        self._awake.step()
        for trial in trials:
            if trial.status == Trial.ERROR and trial.trial_id not in self._lost:
                self._lost.add(trial.trial_id)
                reason = reason_of(trial)
                self.guard(self.scheduler.crashed, trial.config["number"], reason, fault_of(reason))
            elif trial.status == Trial.RUNNING and self._hangs(trial):
                self.guard(self._give_up, trial)

    def _hangs(self, trial: Trial) -> bool:
        return self._awake.seconds - self._heard.get(trial.trial_id, math.inf) > self.timeout

    def _give_up(self, trial: Trial) -> None:
        del self._heard[trial.trial_id]
        self.scheduler.hangs(trial.config["number"], self.timeout)
        _kill(trial)

    def kill_all(self) -> None:
        """End the processes of all running trials."""
        for trial in self._begun.values():
            _kill(trial)


def _kill(trial: Trial) -> None:
    """End a trial's process at once; it may not listen to anything gentler."""
    if trial.temporary_state.ray_actor is not None:
        ray.kill(trial.temporary_state.ray_actor)


class SourceStopper(_Hook, Stopper):
    """Ends a run that is being stopped without waiting for the ends of its trials' epochs.

    `ray job stop` waits for 3 s. Whatever happens to a trial's process, its record and its checkpoints are whole.
    """

    def __init__(self, scheduler: TrialScheduler, watch: TrialWatch) -> None:
        super().__init__(scheduler)
        self.watch = watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.scheduler.stopping:
            self.watch.kill_all()
        return self.scheduler.stopping


def reason_of(trial: Trial) -> str:
    """Why Tune gave a trial up: one line, then the whole text of the last failure."""
    try:
        written = Path(trial.error_file).read_text(encoding="utf-8")
        text = written.rpartition("Failure # ")[2].partition("\n")[2].strip()
    except (OSError, TypeError):
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["the trial's process was lost"]
    died = next((line for line in lines if line.startswith("The actor is dead because")), None)
    return f"{(died or lines[-1])[:300]}\n{text[-4000:]}".strip()
