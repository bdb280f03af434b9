"""Two drivers of one training: the second is refused, and when the first is gone it goes on with what is left."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.helpers.faults import Fault
from tests.helpers.jobs import Run, command, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SEEDS = 8
FLAGS = ["--dataset", "sample", "--model", "diffrec", "--set", "dims=[8]", "--epochs", "40", "--seeds", str(SEEDS)]


def outcomes(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """When each finished training left its result, and what it is."""
    found = (folder / "unblur-runs" / "studies").rglob("outcome.json")
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in found}


def recorded(folder: Path) -> list[int]:
    """The seeds of the finished final runs in MLflow, each as often as it has a run."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("sample/clean").experiment_id])
    finals = [run for run in runs if run.data.tags["unblur.kind"] == "final" and run.info.status == "FINISHED"]
    return sorted(int(run.data.tags["unblur.number"]) for run in finals)


def test_a_second_driver_of_a_training(fault: Callable[[str], Fault], tmp_path: Path, run: Run) -> None:
    meddling = fault("a second driver of a training, kill -9 of the first")
    flags = [*FLAGS, "--concurrency", "1"]
    with subprocess.Popen(
        command("train", *flags), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        while not outcomes(tmp_path):
            assert first.poll() is None, "it ended before there was a second"
            time.sleep(0.05)
        second = run(tmp_path, "train", *flags)
        there = first.poll() is None
        first.send_signal(signal.SIGKILL)
    assert there, "the first ended before the second was refused"
    assert second.returncode == 2, second.stdout + second.stderr
    assert f"is already being driven by process {first.pid}" in second.stderr
    meddling.inject()
    before = outcomes(tmp_path)
    assert 0 < len(before) < SEEDS
    done = run(tmp_path, "train", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    after = outcomes(tmp_path)
    assert len(after) == SEEDS and before.items() <= after.items(), "a finished seed was trained again"
    meddling.judge(recorded(tmp_path), SEEDS)
