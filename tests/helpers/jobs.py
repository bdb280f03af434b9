"""The jobs as a person runs them: a process of their own, on a small file of interactions.

Every end of a command that is run through `run` or `here` is checked: there is a way out, and no traceback.
"""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from tests.helpers import ROOT
from tests.helpers.remedies import assert_mendable
from unblur import cli

SPACE = """
model: cfg_diffrec
parameters:
  lr: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}
  guidance_scale: {type: float, low: 0, high: 4, stage: inference}
fixed: {dims: [16], batch_size: 50, T: 2}
"""
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "COLUMNS": "200"}
NOT_OURS = {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}
"""What would make a job use the surroundings' cluster or store."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 listeners, each with 12 of the 30 tracks of one of two genres, in a random order of time."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"t{user % 2 * 30 + track}", 1_000 * user + second)
        for user in range(300)
        for second, track in enumerate(rng.permutation(30)[:12])
    ]
    file = tmp_path_factory.mktemp("data") / "plays.csv"
    pd.DataFrame(rows, columns=["listener", "track", "played_at"]).to_csv(file, index=False)
    return file


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("space") / "small.yaml"
    file.write_text(SPACE)
    return file


@pytest.fixture(scope="session")
def data_flags(plays: Path) -> list[str]:
    columns = ["--user-column", "listener", "--item-column", "track", "--time-column", "played_at"]
    return ["--dataset", str(plays), *columns]


def command(job: str, *flags: object) -> list[str]:
    return [sys.executable, str(ROOT / "jobs" / f"{job}.py"), *map(str, flags)]


def environment() -> dict[str, str]:
    mine = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # an activated environment
    return {**mine, **ENVIRONMENT, "PATH": path}


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a job in a folder until it ends."""

    def run(folder: Path, job: str, *flags: object, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(job, *flags), cwd=folder, env=environment(), capture_output=True, text=True, timeout=timeout
        )
        assert_mendable(done.returncode, done.stdout, done.stderr)
        return done

    return run


def here(folder: Path, job: str, *flags: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder until it ends, in this process: one of its own would spend its time on imports."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    arguments = [f"jobs/{job}.py", *map(str, flags)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(sys, "argv", arguments)
        patch.setenv("COLUMNS", ENVIRONMENT["COLUMNS"])
        for name in NOT_OURS:
            patch.delenv(name, raising=False)
        try:
            cli.main(job)
        except SystemExit as end:
            status = int(end.code or 0)
    assert_mendable(status, out.getvalue(), err.getvalue())
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def run_here(local_ray: None) -> Run:
    """`here`, on the Ray that the tests share."""
    return here


def recorded(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """The trials of the search that ran in `folder`."""
    url = f"sqlite:///{folder}/unblur-runs/study.db"
    names = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=names[0], storage=url).trials
