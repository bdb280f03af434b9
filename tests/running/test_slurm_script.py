"""The job script for Slurm, run with stand-ins for Slurm, Ray and the driver."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import click
import pytest
from ray.scripts.scripts import cli
from tests.helpers import ROOT

SCRIPT = ROOT / "examples/slurm/search.sbatch"
STAND_INS = {
    "srun": 'SLURM_PROCID=1 "${@:3}" & SLURM_PROCID=0 exec "${@:3}"',
    "ray": """[ "$1" = health-check ] && exec grep -q -- --head "$LOG"
echo "ray $*" >> "$LOG"
[[ "$*" == *--head* ]] && exec /bin/sleep 60""",
    "python": "cat > /dev/null",
    "sleep": "exec /bin/sleep 0.05",
    "unblur": """trap 'echo SIGTERM >> "$LOG"; exit 130' TERM
echo "unblur $*" >> "$LOG"
for _ in {1..1000}; do [ -e "$DONE" ] && exit 0; sleep; done""",
    "scontrol": 'echo "scontrol $*" >> "$LOG"',
}


def flags(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text))


@pytest.mark.parametrize("command", ["start", "health-check"])
def test_the_flags_are_those_of_ray(command: str) -> None:
    group: click.Group = cli
    known = {option for each in group.commands[command].params for option in each.opts}
    lines = [line for line in SCRIPT.read_text().replace("\\\n", " ").splitlines() if line[:1] != "#"]
    used = [line.partition(f"ray {command}")[2] for line in lines if f"ray {command}" in line]
    used += [line.partition("$START_")[2] for line in lines if "exec $START_" in line and command == "start"]
    assert used and set().union(*map(flags, used)) - known == set()


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    for name, body in STAND_INS.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/bash\n{body}\n")
        file.chmod(0o755)
    slurm = {"SLURM_JOB_ID": "77", "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "8"}
    slurm["SLURM_SUBMIT_DIR"] = str(tmp_path)
    places = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "DONE": str(tmp_path / "done")}
    return {**os.environ, **slurm, **places}


def ended(job: dict[str, str], sent: signal.Signals | None) -> tuple[int, str]:
    """The script's status, and what its programs were asked, when it gets a signal as soon as the driver runs."""
    log = Path(job["LOG"])
    with subprocess.Popen(["bash", SCRIPT, "--dataset", "plays.yaml"], env=job, start_new_session=True) as process:
        try:
            while not (log.exists() and all(part in log.read_text() for part in ("unblur ", "start --block"))):
                assert process.poll() is None
                time.sleep(0.02)
            Path(job["DONE"]).touch() if sent is None else process.send_signal(sent)
            return process.wait(60), log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("sent", "status", "told", "again"),
    [(None, 0, False, False), (signal.SIGUSR1, 130, True, True), (signal.SIGTERM, 130, True, False)],
    ids=["ended", "time is over", "cancelled"],
)
def test_the_driver_is_told_and_the_job_comes_back_only_when_its_time_was_over(
    job: dict[str, str], sent: signal.Signals | None, status: int, told: bool, again: bool
) -> None:
    found, log = ended(job, sent)
    assert found == status
    assert ("SIGTERM" in log, "scontrol requeue 77" in log) == (told, again)


def test_all_are_of_one_cluster_and_the_flags_reach_the_search(job: dict[str, str], tmp_path: Path) -> None:
    _, log = ended(job, None)
    head, worker = (next(line for line in log.splitlines() if mark in line) for mark in ("--head", "start --block"))
    address = re.search(r"--node-ip-address=(\S+) --port=(\d+)", head)
    assert address and f"--address={address[1]}:{address[2]}" in worker and "--num-cpus=8" in head
    assert "--dashboard-host=127.0.0.1" in head
    ports = [int(port) for port in re.findall(r"port=(\d+)", head)]  # those that Ray would otherwise take at every job
    assert len(set(ports)) == 3 and all(20000 <= port < 32768 for port in ports)
    search = next(line for line in log.splitlines() if line.startswith("unblur "))
    assert search.endswith("--dataset plays.yaml") and f"--storage {tmp_path}/unblur-runs" in search


def test_slurm_is_asked_for_a_signal_in_time_and_to_queue_again() -> None:
    asked = re.findall(r"^#SBATCH (\S+)", SCRIPT.read_text(), re.MULTILINE)
    assert "--signal=B:USR1@120" in asked and "--requeue" in asked and "--ntasks-per-node=1" in asked
