"""A search that is told to end, in each way in which that is done: it is closed within 10 s, and goes on afterwards."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from tests.helpers.faults import Fault
from tests.helpers.jobs import Run, command, environment, recorded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
SECONDS = 10
Stop = Callable[[subprocess.Popen[str]], None]


def driver_alone(driver: subprocess.Popen[str]) -> None:
    driver.terminate()


def process_group(driver: subprocess.Popen[str]) -> None:
    """Slurm, `kill -- -PGID`, an init that forwards to the group."""
    os.killpg(driver.pid, signal.SIGTERM)


def driver_and_group(driver: subprocess.Popen[str]) -> None:
    """GNU timeout."""
    driver.terminate()
    os.killpg(driver.pid, signal.SIGTERM)


def every_process(driver: subprocess.Popen[str]) -> None:
    """A control group (systemd, a container that is stopped): the driver, then all that it has begun."""
    for each in [driver.pid, *below(driver.pid)]:
        os.kill(each, signal.SIGTERM)


def every_process_the_driver_last(driver: subprocess.Popen[str]) -> None:
    """The order is the kernel's: Ray may have had its signal long before the driver."""
    for each in below(driver.pid):
        os.kill(each, signal.SIGTERM)
    time.sleep(0.5)
    driver.terminate()


def below(process: int) -> list[int]:
    """All descendants, the nearest first."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(tuple(map(int, line.split())) for line in listed.splitlines())
    found = [process]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def states(folder: Path) -> list[str]:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return sorted(f"{run.data.tags['unblur.kind']} {run.info.status}" for run in found)


WAYS = [driver_alone, process_group, driver_and_group, every_process, every_process_the_driver_last]


@pytest.mark.parametrize("stop", WAYS)
def test_sigterm(
    stop: Stop, tmp_path: Path, run: Run, data_flags: list[str], space: Path, fault: Callable[[str], Fault]
) -> None:
    told = fault(f"SIGTERM: {stop.__name__.replace('_', ' ')}")
    plan = ["--epochs", 120, "--eval-every", 10, "--patience", 120, "--trials", 2, "--seeds", 1, "--trainer", "local"]
    flags = [*data_flags, "--search-space", space, *plan]
    pipes = {"stdout": subprocess.PIPE, "stderr": (tmp_path / "stderr").open("w")}
    driver = subprocess.Popen(
        command("tune", *flags), cwd=tmp_path, env=environment(), text=True, start_new_session=True, **pipes
    )
    assert driver.stdout is not None
    assert next((line for line in driver.stdout if line.startswith("trial 0: epoch")), None)
    stop(driver)
    told.inject()
    began = time.monotonic()
    assert driver.wait(60) == 130 and time.monotonic() - began < SECONDS, (tmp_path / "stderr").read_text()
    assert "interrupted: the same command goes on from here" in (tmp_path / "stderr").read_text()
    closed = states(tmp_path)
    assert closed[0] == "study KILLED" and not [each for each in closed if each.endswith("RUNNING")]
    again = run(tmp_path, "tune", *flags)
    assert again.returncode == 0, again.stderr
    told.judge([trial.number for trial in recorded(tmp_path)], 2)
    assert set(states(tmp_path)) <= {"final FINISHED", "study FINISHED", "trial FINISHED", "trial KILLED"}
