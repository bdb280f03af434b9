"""Signals: Ctrl-C and SIGTERM stop a run cleanly at first, at once the second time, and within seconds in any case.

A signal may reach other processes too (a process group, a container, Slurm, systemd). Those of Ray that a driver begins
are made deaf to it, since without them a clean stop waits for ever and Ray's library may end the driver. Where a clean
stop does wait (Ray's processes are another's, or dead), a thread that hears of signals without the main thread's help
closes what is open and ends the process.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

log = logging.getLogger(__name__)
STOPS = (signal.SIGINT, signal.SIGTERM)
STATUS = 130
INTERRUPTED = "interrupted: the same command goes on from here"
GRACE_SECONDS = 6.0
"""For a clean stop; what is registered with `closing` has a few seconds more, so that 10 are enough for all."""
SAME_SECONDS = 1.0
"""Of a signal that comes twice: `timeout` and others send it to the process and to its group."""

_closings: list[Callable[[], object]] = []


@contextmanager
def closing(close: Callable[[], object]) -> Iterator[None]:
    """Have `close` called, from another thread, if the process is ended by force while the block runs."""
    _closings.append(close)
    try:
        yield
    finally:
        _closings.remove(close)


@contextmanager
def ended_in_time() -> Iterator[None]:
    """End this process GRACE_SECONDS after a signal if it has not ended by itself; for a program, not for a library.

    The wakeup pipe is written by the signal itself, also while the main thread waits in a library that holds on to it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hears, speaks = os.pipe()
    os.set_blocking(speaks, False)
    before = signal.set_wakeup_fd(speaks, warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=(hears,), name="end-in-time", daemon=True).start()
    try:
        with sigterm_as_ctrl_c():
            yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(speaks)  # a signal that was heard goes on being counted: Ray's own end may hang too


def _end_in_time(hears: int) -> None:
    heard = b""
    while not any(number in STOPS for number in heard):
        heard = os.read(hears, 64)
        if not heard:  # nobody speaks any more: it ended without a signal
            os.close(hears)
            return
    time.sleep(GRACE_SECONDS)
    for close in reversed(_closings):
        with suppress(Exception):
            close()
    print(INTERRUPTED, file=sys.stderr, flush=True)
    os._exit(STATUS)


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
def deaf_children() -> Iterator[None]:
    """Processes that are begun in the block do not hear SIGTERM: who began them ends them otherwise."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stopping_cleanly(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal, which must let the block end; raise KeyboardInterrupt after it.

    A second signal, SAME_SECONDS later or more, raises it at once.
    """
    interrupted: float | None = None

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        now = time.monotonic()
        if interrupted is not None and now - interrupted < SAME_SECONDS:
            return
        if interrupted is not None:
            raise KeyboardInterrupt
        interrupted = now
        stop()
        log.info("stopping: what runs is left as interrupted, for the next start (Ctrl-C again does not wait)")

    with _handled(STOPS, handler):
        yield
    if interrupted is not None:
        raise KeyboardInterrupt


def ignore_ctrl_c() -> None:
    """At the end of a process: one more would cut off only what Python does there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
