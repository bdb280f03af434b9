"""An ordered queue of writes, delivered by one thread: the driver neither waits for MLflow nor dies with it."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from unblur.redaction import redact

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Write:
    """`act(again)`: with `again`, an earlier attempt failed but may have arrived all the same."""

    label: str  # whom it concerns, for people: "trial 7"
    act: Callable[[bool], None]


def attempts(error: Exception) -> float:
    """How often a write that ended so is tried: without end while nobody answers, once when it is refused.

    What lies between (an error inside the server, a kind we do not know) gets ten attempts, some fifteen seconds:
    one write that never succeeds must not hold up all that come after it.
    """
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if hasattr(error, "get_http_status_code"):
        status = error.get_http_status_code()
    if status is not None and 400 <= status < 500 and status not in {408, 429}:
        return 1
    if isinstance(error, TypeError | ValueError | LookupError | AttributeError | FileNotFoundError):
        return 1
    unanswered = isinstance(error, OSError) or " failed with " in str(error)
    if status in {408, 429, 502, 503, 504} or (unanswered and "too many 500" not in str(error)):
        return math.inf
    return 10


def delays() -> Iterator[float]:
    """Seconds between attempts: soon at first, then every two seconds."""
    delay = 0.1
    while True:
        yield delay
        delay = min(2 * delay, 2.0)


def patiently(action: Callable[[], T], seconds: float) -> T:
    """The result of `action`, tried again for `seconds` while MLflow is away."""
    deadline = time.monotonic() + seconds
    for delay in delays():
        try:
            return action()
        except Exception as error:
            if attempts(error) == 1 or time.monotonic() + delay > deadline:
                raise
        time.sleep(delay)
    raise AssertionError("delays never end")


class Delivery:
    """Writes in the order in which they were put, each until it arrives or is refused."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._pending: deque[Write] = deque()
        self._refused: list[str] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self.away = False
        """Whether the last attempt was not answered."""
        # a daemon: a driver that dies must not wait for a server that is away
        self._thread = threading.Thread(target=self._run, name="mlflow-delivery", daemon=True)
        self._thread.start()

    def put(self, label: str, act: Callable[[bool], None]) -> None:
        with self._changed:
            self._pending.append(Write(label, act))
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many have not arrived."""
        return len(self._pending)

    def flush(self, timeout: float) -> bool:
        """Wait until everything has arrived, at most `timeout` seconds; says whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout)

    def close(self, timeout: float) -> str | None:
        """Deliver what is left, at most `timeout` seconds; then None, or a sentence on what did not arrive."""
        self.flush(timeout)
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            left = list(self._pending)
        return self._complaint(left)

    def _complaint(self, left: list[Write]) -> str | None:
        parts = []
        if left:
            labels = list(dict.fromkeys(write.label for write in left))
            names = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
            parts.append(
                f"MLflow at {self._address} did not take {len(left)} writes in time ({names}). They are in the "
                "study's folder: run the same command again when MLflow is back, and it brings them there."
            )
        if self._refused:
            parts.append(f"MLflow refused {len(self._refused)} writes; the first: {self._refused[0]}.")
        return " ".join(parts) or None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._pending) or self._closing.is_set())
                if self._closing.is_set():
                    return
                write = self._pending[0]
            if self._deliver(write):
                with self._changed:
                    self._pending.popleft()
                    self._changed.notify_all()

    def _deliver(self, write: Write) -> bool:
        """Whether the write is done with: arrived or refused. False only when closing."""
        for attempt, delay in enumerate(delays(), start=1):
            try:
                write.act(attempt > 1)
            except Exception as error:
                if attempt >= attempts(error):
                    self._refuse(write, error)
                    return True
                self._note_away()
            else:
                self._note_back()
                return True
            if self._closing.wait(delay):
                break
        return False

    def _refuse(self, write: Write, error: Exception) -> None:
        reason = f"{write.label}: {redact(str(error)).partition(chr(10))[0][:300]}"
        if not self._refused:
            log.warning("MLflow refused a write (%s)", reason)
        self._refused.append(reason)

    def _note_away(self) -> None:
        if not self.away:
            log.warning("MLflow at %s does not answer; the search goes on, its record waits", self._address)
        self.away = True

    def _note_back(self) -> None:
        if self.away:
            log.warning("MLflow at %s answers again; %d writes to deliver", self._address, len(self._pending) - 1)
        self.away = False
