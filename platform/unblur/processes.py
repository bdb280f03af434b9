"""Servers on loopback: a process of its own, waited for until it answers, and ended by its own id."""

import http.client
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from unblur.errors import RunFailed

HOST = "127.0.0.1"


def free_port() -> int:
    """One of `free_ports`; closed until a server takes it."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Free ports that nobody is given by chance: above those of Ray's workers, below those of outgoing connections."""
    found: list[int] = []
    with ExitStack() as stack:
        for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
            if len(found) < count and _bound(stack.enter_context(socket.socket()), port):
                found.append(port)
    return found


def _bound(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True


@contextmanager
def server(
    name: str,
    command: Sequence[str],
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    health: str = "/",
    patience: float = 300.0,
    grace: float = 3.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, as soon as it answers at `port`; RunFailed when it does not.

    environment: beside ours. log: what it says. health: a path that is answered without an error. patience,
    grace: seconds for it to come up, and to end before it is killed with all that it has begun in its session.
    """
    surroundings = {**os.environ, **(environment or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=surroundings, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait(name, process, port, health, log, time.monotonic() + patience)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], port: int, health: str, log: Path, deadline: float) -> None:
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, port, timeout=60)
            connection.request("GET", health)
            if connection.getresponse().status < 400:
                return
        time.sleep(0.2)
    raise RunFailed(f"{name} did not come up: {said(log)}")


def said(log: Path) -> str:
    """The end of what a process has said."""
    return log.read_text(errors="replace").strip()[-500:]
