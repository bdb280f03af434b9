"""A program that was told to end ends, whatever its main thread waits for, and closes what is open."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from unblur import signals
from unblur.signals import deaf_children

PROGRAM = """
import ctypes, signal, sys, time
from unblur import signals
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores Ctrl-C
signals.GRACE_SECONDS, signals.SAME_SECONDS = 0.5, 0.5

def patient():
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("asked", flush=True)

def in_a_library():
    mutex, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    for _ in range(2):  # the second waits for ever: no Python runs in the main thread, nor does a handler
        c.pthread_mutex_lock(mutex)

def at_once():
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(7)

def twice_at_once():
    with signals.stopping_cleanly(lambda: print("stopping", flush=True)):
        time.sleep(0.3)
    raise SystemExit(9)

def fault():
    raise OSError("MLflow is away")

with signals.ended_in_time():
    with signals.closing(lambda: print("closed twice", flush=True)):
        pass
    with signals.closing(lambda: print("closed", flush=True)), signals.closing(fault):
        print("begun", flush=True)
        {body}()
"""


def ended(body: str, *stops: signal.Signals) -> tuple[int, list[str], str]:
    """Exit status and what was told by a program that got these signals."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM.replace("{body}", body)], **pipes) as program:
        assert program.stdout is not None and program.stdout.readline() == "begun\n"
        time.sleep(0.1)
        for stop in stops:
            program.send_signal(stop)
        try:
            told, complaint = program.communicate(timeout=60)
        finally:
            program.kill()
    return program.returncode, told.split(), complaint


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_what_does_not_end_by_itself_is_ended_and_closed(stop: signal.Signals) -> None:
    assert ended("patient", stop) == (130, ["asked", "closed"], "interrupted: the same command goes on from here\n")


def test_a_library_that_holds_the_main_thread_holds_nothing_up() -> None:
    status, told, complaint = ended("in_a_library", signal.SIGTERM)
    assert (status, told) == (130, ["closed"]) and "the same command goes on from here" in complaint


def test_what_ends_by_itself_ends_as_it_likes() -> None:
    assert ended("at_once", signal.SIGTERM) == (7, [], "")


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    """`timeout` sends it to the process and to its group."""
    status, told, _ = ended("twice_at_once", signal.SIGTERM, signal.SIGINT)
    assert told == ["stopping"] and status != 9


def test_a_second_signal_that_comes_later_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    times, told = iter([0.0, 0.5, 1.5]), []
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: next(times)))
    with pytest.raises(KeyboardInterrupt), signals.stopping_cleanly(lambda: told.append("stop")):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        told.append("goes on")
        signal.raise_signal(signal.SIGINT)
        told.append("waits")
    assert told == ["stop", "goes on"]


def test_without_a_signal_nothing_is_ended() -> None:
    code = "from unblur import signals\nsignals.GRACE_SECONDS = 0\nwith signals.ended_in_time(): pass\n"
    code += "import time; time.sleep(0.3); print('still here')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "still here\n", "")


def test_processes_begun_where_nobody_hears_sigterm_do_not_and_others_do() -> None:
    told = "import signal; print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    asked = [sys.executable, "-c", told]
    with deaf_children():
        inside = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert (inside, subprocess.run(asked, capture_output=True, text=True, check=True).stdout) == ("True\n", "False\n")
