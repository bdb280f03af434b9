"""The watch over running trials, with a clock of the test's own."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from unblur.running.rounds import Round, Rounds
from unblur.running.tune_hooks import STEP_SECONDS, TrialWatch
from unblur.running.work import Assignment

TIMEOUT = 15.0


class Here(Round):
    """Answered in the thread that asks."""

    def ask(self, call: Callable[..., Any], *args: Any) -> Any:
        return call(*args)


class Watched:
    """A trial that runs and is silent, and the steps of the loop that watches it."""

    def __init__(self) -> None:
        self.now, self.given_up = 1000.0, []  # type: tuple[float, list[int]]
        scheduler: Any = SimpleNamespace(
            hangs=lambda number, seconds: self.given_up.append(number),
            next=lambda: Assignment(7, {}, None),  # type: ignore[arg-type]
            over=False,
            stopping=False,
        )
        rounds = Rounds()
        rounds.begin(Here(scheduler, print, timeout=TIMEOUT))
        self.watch = TrialWatch(rounds, lambda: self.now)
        nothing = SimpleNamespace(ray_actor=None)
        self.trial: Any = SimpleNamespace(
            trial_id="a",
            status=Trial.RUNNING,
            config=rounds.suggest("a"),
            temporary_state=nothing,
            is_finished=lambda: False,
        )
        self.watch.on_trial_start(0, [], self.trial)

    def steps(self, *seconds: float) -> "Watched":
        for each in seconds:
            self.now += each
            self.watch.on_step_end(0, [self.trial])
        return self


def test_silence_is_counted_in_the_drivers_own_steps() -> None:
    assert Watched().steps(*[0.5] * 30).given_up == []
    assert Watched().steps(*[0.5] * 31).given_up == [7]


@pytest.mark.parametrize("asleep", [40.0, 3600.0, 1e6])
def test_time_in_which_the_driver_stood_still_is_nobodys_silence(asleep: float) -> None:
    """All processes were stopped (SIGSTOP, a suspended Slurm job, a paused machine): a healthy trial is not failed."""
    watched = Watched().steps(*[0.5] * 20, asleep, *[0.5] * 5)
    assert watched.given_up == []
    watched.watch.on_trial_result(0, [], watched.trial, {})
    assert watched.steps(*[0.5] * 30).given_up == [], "a report begins a new count"


def test_a_trial_that_hangs_is_still_found_after_it() -> None:
    assert Watched().steps(*[0.5] * 20, 3600.0, *[0.5] * 10).given_up == [7]
    assert Watched().steps(*[10 * STEP_SECONDS] * 8).given_up == [7], "nor do slow steps hide it for ever"
