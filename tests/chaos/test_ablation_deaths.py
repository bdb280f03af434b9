"""An ablation whose driver is killed again and again: every cell is trained once, and has one run in MLflow."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from tests.helpers.faults import Fault
from tests.helpers.jobs import Run, command, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CELLS, KILLS = 6, 2
STUDY = {
    "question": "Which size?",
    "dataset": "sample",
    "model": "diffrec",
    "parameters": {"lr": 0.01, "T": 2},
    "grid": {"dims": [[4], [8], [16]]},
    "x": "dims",
    "seeds": 2,
    "epochs": 10,
}
FLAGS = ["--study", "sizes.yaml", "--concurrency", "1"]


def trained(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each finished training left its result, and what it is."""
    files = (folder / "unblur-runs" / "ablations").rglob("outcome.json")
    return {file.parent.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def recorded(folder: Path) -> list[int]:
    """The numbers of the finished cells in MLflow, each as often as it has a run."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("sample/clean").experiment_id])
    cells = [run for run in runs if run.data.tags["unblur.kind"] == "cell" and run.info.status == "FINISHED"]
    return sorted(int(run.data.tags["unblur.number"]) for run in cells)


def killed_after(folder: Path, cells: int) -> None:
    """Start the ablation and kill its driver as soon as so many cells are trained."""
    with subprocess.Popen(
        command("ablate", *FLAGS), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as driver:
        while len(trained(folder)) < cells:
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)


def test_kill_9_of_an_ablation(fault: Callable[[str], Fault], tmp_path: Path, run: Run) -> None:
    death = fault("kill -9 of an ablation's driver")
    (tmp_path / "sizes.yaml").write_text(yaml.safe_dump(STUDY))
    before: dict[str, tuple[int, bytes]] = {}
    for kill in range(KILLS):
        killed_after(tmp_path, len(before) + 1 + kill)
        death.inject()
        now = trained(tmp_path)
        assert before.items() <= now.items(), "a finished cell was trained again"
        before = now
    assert len(before) < CELLS
    done = run(tmp_path, "ablate", *FLAGS)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trained(tmp_path)
    assert len(after) == CELLS and before.items() <= after.items(), "a finished cell was trained again"
    frame = pd.read_csv(tmp_path / "sizes.csv")
    assert sorted(zip(frame.dims, frame.seed, strict=True)) == sorted(
        (str(d), s) for d in STUDY["grid"]["dims"] for s in (0, 1)
    )
    death.judge(recorded(tmp_path), CELLS)
