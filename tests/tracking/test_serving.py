"""A registered model is served in an environment of its own, made from its requirements alone."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.helpers.jobs import environment
from tests.tracking.test_registry import put, save_popularity

from unblur.processes import free_port
from unblur.tracking.client import Store
from unblur.tracking.model_package import requirements
from unblur.tracking.registry import decide
from unblur.tracking.tracker import Tracker

MINUTES = 15  # of making the environment: PyTorch is large


def no_index() -> str:
    """Why the requirements cannot be installed here; empty when they can."""
    question = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", *requirements()]
    asked = subprocess.run(question, capture_output=True, text=True, timeout=600)
    return "" if asked.returncode == 0 else f"no package index: {asked.stderr.strip().splitlines()[-1]}"


@contextmanager
def served(uri: str, store: Store, folder: Path) -> Iterator[str]:
    """The address of the model while it is served, `unblur` hidden from whatever the server starts."""
    port = free_port()
    surroundings = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    surroundings |= {"MLFLOW_TRACKING_URI": store.uri, "MLFLOW_ENV_ROOT": str(folder / "envs")}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=surroundings, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def answer(address: str, body: object) -> object:
    deadline = time.monotonic() + 60 * MINUTES
    while True:
        request = urllib.request.Request(
            f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(1)


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 600)
def test_a_champion_is_served_without_the_package_installed(
    store: Store, open_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    if reason := no_index():
        pytest.skip(reason)
    uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
    decide(store, uri, "the first", crowned=True)
    with served("models:/unblur-toys@champion", store, tmp_path) as address:
        found = answer(address, {"inputs": [["a", "c"], ["b", "unheard"]], "params": {"k": 2}})
    assert found == {"predictions": [["b", "d"], ["a", "c"]]}
