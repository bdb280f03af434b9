"""Signal handlers: Ctrl-C and SIGTERM stop a run cleanly at first, and at once the second time."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)
STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Only the main thread may set handlers; elsewhere nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """With Ray's own handler a job that is told to end (`ray job stop`) would exit without closing its runs."""
    with _handled((signal.SIGTERM,), signal.default_int_handler):
        yield


@contextmanager
def stopping_cleanly(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal, which must let the block end; raise KeyboardInterrupt after it.

    A second signal raises it at once.
    """
    interrupted = False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        stop()
        log.info("stopping: what runs is left as interrupted, for the next start (Ctrl-C again does not wait)")

    with _handled(STOPS, handler):
        yield
    if interrupted:
        raise KeyboardInterrupt


def ignore_ctrl_c() -> None:
    """At the end of a process: one more would cut off only what Python does there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
