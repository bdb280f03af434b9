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
from tests.helpers import HELPERS, driver_environment
from tests.helpers.faults import Fault
from tests.helpers.jobs import command, environment, recorded
from tests.helpers.toy_study import identity, run, table

from unblur.search.storage import local_url
from unblur.search.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TIMEOUT = 120
"""Seconds; the workers of a trial come up within them, also on a machine that has much else to do."""


def drive(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a driver that has a cluster of its own."""
    driver = [sys.executable, str(HELPERS / script), *map(str, arguments)]
    where = {**environment(), "PYTHONPATH": driver_environment()["PYTHONPATH"]}
    return subprocess.run(driver, env=where, capture_output=True, text=True, timeout=1700)


def test_a_cluster_that_loses_its_nodes(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    loss = fault("loss of a node without notice")
    whole = Study.open(identity(), local_url(tmp_path / "undisturbed"))
    run(whole, 5)
    done = drive("node_driver.py", tmp_path, 5)
    loss.times = done.stdout.splitlines().count("lost")
    assert done.returncode == 0 and loss.times == 4, done.stdout[-3000:] + done.stderr[-3000:]
    found = Study.open(identity(), local_url(tmp_path))
    loss.judge([record.number for record in found.records()], 5)
    assert table(found) == table(whole)


def test_a_node_that_leaves_with_notice(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    from tests.helpers.notice_driver import study_in

    leave = fault("node of a Ray Train worker drained (preemption)")
    done = drive("notice_driver.py", tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (left,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("left")]
    leave.inject()
    lines = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    told = [(what, int(epoch), node == left) for what, epoch, node in lines]
    assert sorted(told[:2]) == [("started", 0, False), ("started", 0, True)]
    saved = [epoch for what, epoch, _ in told if what == "saved"]
    assert told[2 : 2 + len(saved)] == [("saved", epoch, told[2][2]) for epoch in saved], "once there was notice"
    assert told[2 + len(saved) :][:2] == [("started", saved[-1], False)] * 2, "elsewhere, from the last checkpoint"
    found, whole = study_in(tmp_path), study_in(tmp_path / "undisturbed")
    leave.judge([record.number for record in found.records()], 1)
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
                if name == "killed" and ": epoch 10/" in line and not death.times:
                    time.sleep(0.1)
                    for process in workers_of(mark):
                        os.kill(process, signal.SIGKILL)
                        death.inject()
        assert job.returncode == 0
        told[name] = json.loads((folder / "s.json").read_text())["test"]["ndcg_at_10"]["values"]
    assert told["killed"] == pytest.approx(told["undisturbed"])
    death.judge([0], 1)


def test_a_trial_whose_ray_train_workers_hang(
    fault: Callable[[str], Fault], tmp_path: Path, data_flags: list[str], space: Path, local_ray: None
) -> None:
    """While there is another cluster on the machine, in which Ray Train might look for the trial's resources."""
    hang, stopped = fault("a Ray Train trial that hangs (workers stopped)"), []
    mark = f"UNBLUR_CHAOS={os.getpid()}-hanging"
    # a trial takes the whole machine, so the next one needs what the hanging one had
    cpus = ["--workers-per-trial", 2, "--cpus-per-worker", (os.cpu_count() or 2) / 2]
    plan = ["--trials", 3, "--epochs", 200, "--eval-every", 10, "--patience", 200, "--seeds", 1, *cpus]
    flags = command("tune", *data_flags, "--search-space", space, *plan, "--trial-timeout", TIMEOUT)
    where = {**environment(), **dict([mark.split("=")])}
    with subprocess.Popen(flags, cwd=tmp_path, env=where, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        lines = []
        for line in job.stdout:
            lines.append(line)
            if line.startswith("trial 1: epoch") and not stopped:
                stopped = workers_of(mark)
                for process in stopped:  # not even Python runs in them now
                    os.kill(process, signal.SIGSTOP)
                hang.inject()
    assert job.returncode == 0, "".join(lines)[-3000:]
    trials = recorded(tmp_path)
    assert [trial.number for trial in trials if trial.state.name == "FAIL"] == [1]
    assert trials[1].user_attrs["reason"] == f"no report for {TIMEOUT} s (--trial-timeout)"
    assert len(stopped) == 2 and not any(Path(f"/proc/{process}").exists() for process in stopped)
    hang.judge([trial.number for trial in trials], 3)
