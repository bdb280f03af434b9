"""The tuning job as a user submits it: `ray start --head` in the repository's root, then `ray job submit`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import ROOT, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RAY = str(Path(sys.executable).with_name("ray"))


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one node, ended by its own process id; its dashboard's address."""
    gcs, dashboard, client = free_ports(3)
    flags = [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}", "--num-cpus=2"]
    start = [RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", *flags]
    # a folder of its own, or other drivers on this machine would find the cluster and join it; short, for Ray's sockets
    own = {**environment(), "RAY_TMPDIR": f"/tmp/ray-{gcs}"}
    with subprocess.Popen(start, cwd=ROOT, env=own, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            wait_for(dashboard)
            yield f"http://127.0.0.1:{dashboard}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def submit(address: str, *flags: object) -> subprocess.CompletedProcess[str]:
    job = [RAY, "job", "submit", "--address", address, "--", "python", "jobs/tune.py", *map(str, flags)]
    return subprocess.run(job, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=400)


def test_a_submitted_search(head: str, data_flags: list[str], space: Path, tmp_path: Path) -> None:
    places = ["--storage", tmp_path / "runs", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    plan = ["--trials", 2, "--epochs", 2, "--eval-every", 1, "--seeds", 1, "--summary", tmp_path / "s.json"]
    done = submit(head, *data_flags, "--search-space", space, *places, *plan)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(json.loads((tmp_path / "s.json").read_text())["trials"].values()) == 2


def test_a_submitted_mistake_fails_the_job_with_its_message(head: str) -> None:
    done = submit(head, "--dataset", "no_such_dataset")
    assert done.returncode == 1
    assert "unknown dataset 'no_such_dataset'" in done.stdout + done.stderr
