"""Machines that vanish, and Ray Train workers that die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import Fault
from running import command, environment
from test_study import run, table
from toy_study import identity

from unblur.tuning.storage import local_url
from unblur.tuning.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TUNING = Path(__file__).resolve().parents[1] / "tuning"


def test_a_cluster_that_loses_its_nodes(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    loss = fault("loss of a node without notice")
    whole = Study.open(identity(), local_url(tmp_path / "undisturbed"))
    run(whole, 5)
    driver = [sys.executable, str(TUNING / "node_driver.py"), str(tmp_path), "5"]
    where = {**environment(), "PYTHONPATH": f"{TUNING}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(driver, env=where, capture_output=True, text=True, timeout=500)
    loss.times = done.stdout.splitlines().count("lost")
    assert done.returncode == 0 and loss.times == 4, done.stdout[-3000:] + done.stderr[-3000:]
    found = Study.open(identity(), local_url(tmp_path))
    loss.judge([record.number for record in found.records()], 5)
    assert table(found) == table(whole)


def workers_of(mark: str) -> list[int]:
    """Ray Train's worker processes of the job that carries `mark` in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            train = b"ray::RayTrainWorker" in (process / "cmdline").read_bytes()
            if train and mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_kill_9_of_a_ray_train_worker_in_mid_epoch(
    fault: Callable[[str], Fault], tmp_path: Path, data_flags: list[str]
) -> None:
    death = fault("kill -9 of a Ray Train worker in mid-epoch")
    plan = ["--set", "dims=[16]", "--set", "batch_size=10", "--epochs", 200, "--patience", 200, "--eval-every", 10]
    told = {}
    for name in ("undisturbed", "killed"):
        (folder := tmp_path / name).mkdir()
        mark = f"UNBLUR_CHAOS={os.getpid()}-{name}"
        flags = command("train", *data_flags, *plan, "--trainer", "ray", "--summary", "s.json")
        where = {**environment(), **dict([mark.split("=")])}
        with subprocess.Popen(flags, cwd=folder, env=where, stdout=subprocess.PIPE, text=True) as job:
            assert job.stdout is not None
            for line in job.stdout:
                if name == "killed" and "epoch 20 " in line and not death.times:
                    time.sleep(0.1)
                    for process in workers_of(mark):
                        os.kill(process, signal.SIGKILL)
                        death.inject()
        assert job.returncode == 0
        told[name] = json.loads((folder / "s.json").read_text())["test"]["ndcg_at_10"]["values"]
    assert told["killed"] == pytest.approx(told["undisturbed"])
    death.judge([0], 1)
