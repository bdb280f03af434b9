"""The time of a search over all its starts: kept in the study, so that a budget is spent once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unblur.running.work import Listener
from unblur.search.study import Study
from unblur.training.record import State
from unblur.training.report import Progress

KEEP_SECONDS = 5.0
"""How much a death may make forgotten, beside the time between two reports."""


class SearchClock(Listener):
    """A listener that keeps in the study for how many seconds it is searched."""

    def __init__(self, study: Study) -> None:
        self._study, self._before = study, study.seconds
        self._begun = self._kept = time.monotonic()

    @property
    def total(self) -> float:
        """Seconds of all starts together."""
        return self._before + time.monotonic() - self._begun

    def keep(self, least: float = 0.0) -> None:
        """Write the total down, which is `least` at least."""
        self._study.spend(max(self.total, least))
        self._kept = time.monotonic()

    def _keep_now_and_then(self) -> None:
        if time.monotonic() - self._kept >= KEEP_SECONDS:
            self.keep()

    def started(self, number: int, params: dict[str, Any]) -> None:
        self._keep_now_and_then()

    def progressed(self, number: int, progress: Progress) -> None:
        self._keep_now_and_then()

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self.keep()


@contextmanager
def searching(study: Study, trials: int, budget: float | None) -> Iterator[tuple[SearchClock, float | None]]:
    """The clock of one start of a search for so many trials, and the seconds of the budget that it may spend."""
    clock = SearchClock(study)
    try:
        yield clock, left(study, budget)
    except KeyboardInterrupt:
        clock.keep()
        raise
    # what ends before its trials are finished has ended by its budget
    clock.keep(least=budget if budget and study.missing(trials) else 0.0)


def left(study: Study, budget: float | None) -> float | None:
    """What is left of a budget in seconds, 0 when it is spent; None without one."""
    return None if budget is None else max(0.0, budget - study.seconds)
