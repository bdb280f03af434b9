"""A real MLflow server for as long as a test needs one."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unblur.tracking.client import Store


@contextmanager
def served(store: Store, folder: Path) -> Iterator[str]:
    """`mlflow server` on the store's database, on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--backend-store-uri", store.uri],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # its own process group, so that its workers end with it
        )
    try:
        _await(f"http://127.0.0.1:{port}/health", folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(address: str, log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        with suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
