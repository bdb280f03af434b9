"""What a Tune run works on: one list of tasks after the other, each with a scheduler of its own."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from unblur.running.scheduler import TrialScheduler
from unblur.running.work import Assignment

LOOK_SECONDS = 0.2
"""Between two looks at whether the other thread is still there."""


@dataclass(eq=False)
class Round:
    """A list of tasks on its way through a Tune run."""

    scheduler: TrialScheduler
    run: Callable[[dict[str, Any]], None]
    """The function of a trial."""
    time_budget: float | None = None
    """Seconds from now until the list is left as it is."""
    timeout: float = math.inf
    """Seconds without a report after which a task is given up."""
    begun: float = field(default_factory=time.monotonic)
    _asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = field(default_factory=SimpleQueue)
    _done: threading.Event = field(default_factory=threading.Event)
    _dropped: threading.Event = field(default_factory=threading.Event)

    @property
    def cut_off(self) -> bool:
        """Whether it ends with what is running, and the Tune run with it."""
        late = self.time_budget is not None and time.monotonic() - self.begun > self.time_budget
        return self.scheduler.stopping or late

    @property
    def ended(self) -> bool:
        """Whether it was worked on as far as it was to be."""
        return self._done.is_set() or self.cut_off

    def settle(self, live: bool) -> None:
        """Note the end, once nothing is left and no trial lives; the end of one that is cut off is that of Tune."""
        if self.scheduler.over and not live and not self.cut_off:
            self.ask(self._done.set)

    def serve(self, thread: threading.Thread) -> None:
        """Do what `thread` asks for until the end of the list or of the thread; signals are heard."""
        while thread.is_alive() and not self._done.is_set():
            with suppress(Empty):
                self._answer(*self._asked.get(timeout=LOOK_SECONDS))

    def _answer(self, call: Callable[[], Any], answer: Future[Any]) -> None:
        try:
            answer.set_result(call())
        except Exception as error:  # Tune would take it for a failure of the trial
            self.scheduler.error, self.scheduler.stopping = error, True
            answer.set_result(None)

    def ask(self, call: Callable[..., Any], *args: Any) -> Any:
        """Have the driver's thread call the scheduler, and so the listeners; None once nobody serves any more.

        An exception there ends the list.
        """
        answer: Future[Any] = Future()
        self._asked.put((partial(call, *args), answer))
        while not self._dropped.is_set():
            with suppress(TimeoutError):
                return answer.result(LOOK_SECONDS)
        return None

    def drop(self) -> None:
        """Serve no more: what still comes of its trials is nobody's."""
        self._dropped.set()

    def config(self, found: Assignment) -> dict[str, Any]:
        """What a trial is given."""
        return {"number": found.number, "task": found.task, "data": found.data, "run": self.run}


class Rounds:
    """The present round, and whose each trial is. The driver's thread begins rounds, Tune's works on them."""

    def __init__(self) -> None:
        self.closed = False
        self.live = False
        """Whether Tune has a trial that is not at its end."""
        self._now: Round | None = None
        self._of: dict[str, Round] = {}
        self._change = threading.Condition()

    def begin(self, round: Round) -> None:
        """Work on this round next."""
        with self._change:
            self._now = round
            self._change.notify_all()

    def drop(self, round: Round) -> None:
        """Hear no more of a round."""
        round.drop()
        self._now = None
        self._of.clear()

    def close(self) -> None:
        """No round comes any more."""
        with self._change:
            self.closed = True
            self._change.notify_all()

    @property
    def cut_off(self) -> bool:
        """Whether the Tune run is to end as it is."""
        now = self._now
        return self.closed or (now is not None and now.cut_off)

    @property
    def stopping(self) -> bool:
        """Whether somebody waits for the end."""
        return self._now is not None and self._now.scheduler.stopping

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The config of a trial of this id, if there is anything to begin; waits where nothing else is to be done."""
        with self._change:
            if not self.live:
                self._change.wait_for(lambda: self.cut_off or self._has_work())
        round = self._now
        if round is None or self.cut_off or round.scheduler.over:
            return None
        found = round.ask(round.scheduler.next)
        if found is None:
            return None
        self._of[trial_id], self.live = round, True
        return round.config(found)

    def _has_work(self) -> bool:
        return self._now is not None and not self._now.scheduler.over

    def of(self, trial_id: str) -> Round | None:
        """Whose a trial is, if anybody still wants to know."""
        return self._of.get(trial_id)

    def stepped(self, live: bool) -> None:
        """Tune has made a step, after which trials live or not."""
        self.live = live
        if self._now is not None:
            self._now.settle(live)
