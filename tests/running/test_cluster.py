"""A cluster on this machine: who hears it, who ends it, what it leaves. And a cluster that cannot be had."""

import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray._private import services

from unblur.errors import UserError
from unblur.processes import free_port
from unblur.running import cluster
from unblur.running.leftovers import LOCK

JOB = """
import os, signal, time
from contextlib import suppress
import psutil  # once `ray` is imported
from ray.train.v2._internal.state.util import is_actor_alive
from unblur.running.cluster import ray_cluster
from unblur.running.ray_train import require_dashboard

class Actor:
    def id(self):
        return ray.get_runtime_context().get_actor_id()

def listening(process):
    return [c.laddr.ip for c in process.net_connections(kind="inet") if c.status == "LISTEN"]

with ray_cluster():
    everyone = [psutil.Process(), *psutil.Process().children(recursive=True)]
    print("daemons:", {each.name() for each in everyone} >= {"gcs_server", "raylet"})
    addresses = {ip for each in everyone for ip in listening(each)}
    print("heard beyond this machine:", addresses - {"127.0.0.1", "::ffff:127.0.0.1", "::1"})
    actor = ray.remote(Actor).remote()
    asked = ray.remote(is_actor_alive).remote(ray.get(actor.id.remote()), timeout=30)
    require_dashboard()
    print("told of an actor, as Ray Train asks before it frees what a dead training held:", ray.get(asked))
    for each in everyone[:0:-1]:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    time.sleep(0.5)
    print("worked on:", ray.get(ray.remote(lambda: 6 * 7).remote()))
    session = ray._private.worker._global_node.get_session_dir_path()
    print("in use:", os.path.exists(session + "/driver.lock"))
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10_000)
    except KeyboardInterrupt:
        print("closed")
    everyone = psutil.Process().children(recursive=True)
print("left:", [each.name() for each in psutil.wait_procs(everyone, timeout=10)[1]])
print("in use:", os.path.exists(session + "/driver.lock"))
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """With a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_cluster_of_ones_own(temporary: Path) -> None:
    """It listens on loopback, outlives a SIGTERM to all processes until its driver ends it, and leaves nobody."""
    (left := temporary / "unblur-tune-abc").mkdir()
    (left / LOCK).touch()
    (temporary / "ray").mkdir()
    (temporary / "ray/ray_current_cluster").write_text(f"127.0.0.1:{free_port()}")  # of a head that was killed
    where = {**os.environ, "RAY_AUTH_MODE": "disabled", "TMPDIR": str(temporary)}
    where.pop("RAY_ADDRESS", None)
    code = f"import ray\n{JOB}"
    done = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, timeout=600)
    assert done.stdout.splitlines() == [
        "daemons: True",
        "heard beyond this machine: set()",
        "told of an actor, as Ray Train asks before it frees what a dead training held: True",
        "worked on: 42",
        "in use: True",
        "closed",
        "left: []",
        "in use: False",
    ], done.stderr
    assert done.returncode == 0 and not left.exists(), "what a killed driver left is swept"


def started(monkeypatch: pytest.MonkeyPatch, *answers: BaseException | str) -> Callable[[int], str]:
    """`_connected` with a Ray that gives one answer after the other."""
    given = iter(answers)

    def init(address: str | None, **_: Any) -> SimpleNamespace:
        assert address == "local", "whatever address a head has left"
        if isinstance(answer := next(given), BaseException):
            raise answer
        return SimpleNamespace(address_info={"session_dir": answer})

    monkeypatch.setattr(cluster.ray, "init", init)
    return lambda times: cluster._connected("", True, times)


LATE = Exception("The current node timed out during startup. This could happen because ...")


def test_a_ray_that_does_not_start_says_why_and_is_tried_again_if_it_was_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, LATE, "/tmp/session")(2) == "/tmp/session"
    with pytest.raises(UserError, match="Ray did not start within half a minute, twice: the machine is too busy"):
        started(monkeypatch, LATE, LATE)(2)
    with pytest.raises(UserError, match=r"TMPDIR=.* set RAY_TMPDIR, or TMPDIR, to a folder with a short one"):
        started(monkeypatch, OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes"))(2)
    with pytest.raises(OSError, match="a fault of another kind"):
        started(monkeypatch, OSError("a fault of another kind"))(2)
    with pytest.raises(RuntimeError, match="nothing of time"):
        started(monkeypatch, RuntimeError("nothing of time"), "/tmp/session")(2)


def test_sigterm_while_ray_starts_is_an_interruption_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray has a handler of its own by then, which exits with the signal's number."""
    with pytest.raises(KeyboardInterrupt):
        started(monkeypatch, SystemExit(15))(2)


@pytest.mark.parametrize(
    "address", ["HOST:closed", "http://127.0.0.1:8265", "ray://127.0.0.1:10001", "127.0.0.1", "auto"]
)
def test_a_cluster_that_was_asked_for_and_does_not_answer_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = address.replace("HOST:closed", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(services, "find_gcs_addresses", list)  # those of other tests
    with pytest.raises(UserError, match=f"no Ray cluster answers at {re.escape(address)} .*RAY_ADDRESS"):
        cluster._answers(address)


def test_a_head_that_was_killed_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address lies where Ray looks for the cluster to join; Ray itself would wait there for minutes."""
    caplog.set_level(logging.INFO, "unblur")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert not cluster._answers("") and not cluster._answers("local") and not caplog.text, "none was there"
    (noted := tmp_path / "ray/ray_current_cluster").parent.mkdir()
    for left in (place := f"127.0.0.1:{free_port()}", "nothing of the kind", ""):
        noted.write_text(left)
        caplog.clear()
        assert not cluster._answers("")
        assert not left or (f"nobody answers at {left}" in caplog.text and "starting one for this run" in caplog.text)
    with socket.create_server(("", int(place.partition(":")[2]))):
        noted.write_text(place)
        assert cluster._answers("") and not cluster._answers("local")
        assert cluster._answers(place)
