"""A store in a temporary folder, and a real MLflow server on loopback."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow  # noqa: F401 - its seconds are not those of the first test that needs it
import pytest
from tests.helpers.mlflow_server import Server
from tests.helpers.mlflow_store import empty_store, new_database

from unblur.tracking.client import Store
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker

TOYS = LoggedDataset("toys", "ab" * 32, {"users": 3, "items": 5})


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, os.environ.get(name, "5"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return empty_store(tmp_path)


@pytest.fixture
def open_tracker() -> Iterator[Callable[..., Tracker]]:
    """Opens a tracker on study "s1", as the driver does at every start; closes all at the end."""
    opened: list[Tracker] = []

    def build(store: Store, study: str = "s1") -> Tracker:
        tracker = Tracker(store, "toys/clean")
        opened.append(tracker)
        tracker.open_study(study, "toys diffrec", {"unblur.model": "diffrec"}, {"trials": 3}, TOYS)
        return tracker

    yield build
    for tracker in opened:
        tracker.close(timeout=0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder, new_database(folder))
    server.start()
    yield server
    server.stop()
