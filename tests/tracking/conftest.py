"""A store in a temporary folder, and a real MLflow server on loopback that a test may stop and start."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from unblur.tracking.client import Store, connect
from unblur.tracking.runs import Dataset
from unblur.tracking.tracker import Tracker

TOYS = Dataset("toys", "ab" * 32, {"users": 3, "items": 5})


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, os.environ.get(name, "5"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: making one takes a second or two, copying it none."""
    folder = tmp_path_factory.mktemp("template")
    connect(None, folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    (tmp_path / "mlflow.db").write_bytes(template.read_bytes())
    return connect(None, tmp_path)


@pytest.fixture
def open_tracker() -> Iterator[Callable[..., Tracker]]:
    """Opens a tracker on study "s1", as the driver does at every start; closes all at the end."""
    opened: list[Tracker] = []

    def build(store: Store, study: str = "s1") -> Tracker:
        tracker = Tracker(store, "toys/clean")
        opened.append(tracker)
        tracker.open_study(study, "toys diffrec", {"unblur.model": "diffrec"}, {"trials": 3}, TOYS, "# toys")
        return tracker

    yield build
    for tracker in opened:
        tracker.close(timeout=0)


class Server:
    """`mlflow server` on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        arguments += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        arguments += ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *arguments],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # its own process group, so that its workers end with it
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer,
        ):
            return bool(answer.status == 200)
        return False


@pytest.fixture
def server(template: Path, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(template.read_bytes())
    server = Server(folder)
    server.start()
    yield server
    server.stop()
