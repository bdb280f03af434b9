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
from unblur.running.rounds import Rounds
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

    def __init__(self, rounds: Rounds) -> None:
        super().__init__()
        self.rounds = rounds

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def tell(self, trial: Trial, of: Callable[[TrialScheduler], Callable[..., Any]], *args: Any) -> Any:
        """Call the scheduler of a trial's list with its number; None where nobody wants to hear of it any more."""
        round = self.rounds.of(trial.trial_id)
        return round and round.ask(of(round.scheduler), trial.config["number"], *args)


class SourceSearcher(_Hook, Searcher):
    def suggest(self, trial_id: str) -> Any:
        found = self.rounds.suggest(trial_id)
        return Searcher.FINISHED if found is None and self.rounds.cut_off else found

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The scheduler and the watch see more than the searcher."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the record is the source."""


class SourceScheduler(_Hook, FIFOScheduler):
    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        report = from_ray(result)
        stop = report is not None and self.tell(trial, lambda scheduler: scheduler.report, report)
        return str(FIFOScheduler.STOP if stop else FIFOScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self.tell(trial, lambda scheduler: scheduler.returned)


class TrialWatch(_Hook, Callback):
    """Sees how trials end in error, and that they go on reporting within the time that their list grants."""

    def __init__(self, rounds: Rounds, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(rounds)
        self._awake = AwakeClock(clock)
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
                self.tell(trial, lambda scheduler: scheduler.crashed, reason, fault_of(reason))
            elif trial.status == Trial.RUNNING:
                self._look_after(trial)
        self.rounds.stepped(any(not trial.is_finished() for trial in trials))

    def _look_after(self, trial: Trial) -> None:
        """Give up a trial that has been silent for longer than its list grants."""
        round = self.rounds.of(trial.trial_id)
        silent = self._awake.seconds - self._heard.get(trial.trial_id, math.inf)
        if round is not None and silent > round.timeout:
            del self._heard[trial.trial_id]
            self.tell(trial, lambda scheduler: scheduler.hangs, round.timeout)
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

    def __init__(self, rounds: Rounds, watch: TrialWatch) -> None:
        super().__init__(rounds)
        self.watch = watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.rounds.stopping:
            self.watch.kill_all()
        return self.rounds.cut_off


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
