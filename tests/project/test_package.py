"""The package as it is installed: a wheel in an environment of its own, far from the repository."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.helpers import ROOT
from tests.helpers.jobs import environment

HEAVY = ("torch", "ray", "mlflow", "optuna", "matplotlib")
LIGHT = f"""
import sys
from unblur import cli
try:
    cli.main()
finally:
    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LIGHT, *words], capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ((), 0, "  reproduce  Train rows"),
        (("--version",), 0, "unblur 0."),
        (("tune", "--help"), 0, "--search-space"),
        (("report", "--help"), 0, "--markdown"),
        (("benchmark", "--help"), 0, "--textbook"),
        (("tuen",), 2, "unknown command 'tuen'. Did you mean 'tune'?"),
        (("train", "--seeds", "0"), 2, "--seeds = 0"),
        (("ablate", "--sudy", "x"), 2, "--sudy"),
    ],
)
def test_help_and_slips_wait_for_no_library(words: tuple[str, ...], status: int, told: str) -> None:
    done = ask(*words)
    assert done.returncode == status and told in done.stdout + done.stderr
    assert "[]" in done.stderr.splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of an environment with the built wheel; of ours it sees the other libraries alone."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, timeout=600)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=600)
    (wheel,) = folder.glob("unblur-*.whl")
    into = [*pip, "--python", str(folder / "venv"), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(into, check=True, timeout=600)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    # a path that a .pth file names is searched, but its own .pth files, one of which may lead to ours, are not read
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_a_wheel_searches_and_reports_far_from_the_repository(installed: Path, tmp_path: Path) -> None:
    surroundings = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    surroundings["PATH"] = f"{installed}{os.pathsep}{surroundings['PATH']}"

    def run(*words: str) -> str:
        command = ["unblur", *words]
        done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = "import unblur.resources as r; print(r.HOME)"
    python = [str(installed / "python"), "-c", where]
    home = subprocess.run(python, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=True).stdout
    assert home.startswith(str(installed.parent)) and home.strip().endswith("unblur/shipped")
    small = ["--trials", "2", "--epochs", "5", "--seeds", "1"]
    assert "test ndcg@10" in run("tune", "--dataset", "sample", *small)
    run("report", "--dataset", "sample")
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert "cells x" in run("ablate", "--study", "scale_curve_toys", "--dataset", "sample", "--dry-run")
    assert "amazon_toys" in run("reproduce", "--dataset", "amazon_toys", "--data-dir", str(tmp_path), "--dry-run")
    speed = ["--users", "100", "--hidden", "8", "--steps", "2", "--rounds", "1", "--trials", "0", "--skip-memory"]
    assert "without the plain implementation" in run("benchmark", "--dataset", "sample", *speed)
