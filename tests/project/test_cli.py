"""How a job ends: one line and an exit status."""

import os
import subprocess
import sys

import pytest

JOB = """
import atexit, os, signal
from pydantic.dataclasses import dataclass
from unblur import cli
from unblur.errors import RunFailed, UserError

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it

@dataclass
class Options:
    pass

def main(options):
    {ending}

cli.run(main, Options)
"""
CTRL_C = "os.kill(os.getpid(), signal.SIGINT)"
TWICE = f"atexit.register(os.kill, os.getpid(), signal.SIGINT); {CTRL_C}"
"""The second one of an impatient person, when Python is ending."""


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        ("raise UserError('no such flag')", 2, "error: no such flag\n"),
        ("raise RunFailed('the disk is full')", 1, "failed: the disk is full\n"),
        (CTRL_C, 130, "interrupted: the same command goes on from here\n"),
        ("raise UserError('postgresql://ann:pa ss/w@h/db is away')", 2, "error: postgresql://h/db is away\n"),
        (TWICE, 130, "interrupted: the same command goes on from here\n"),
    ],
)
def test_one_line_and_a_status(ending: str, status: int, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", JOB.format(ending=ending)], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (status, told)


def test_what_was_typed_wrongly_and_what_nobody_expected_are_told_without_credentials() -> None:
    for ending, flags, status in (
        ("pass", ["--urll", "http://u:hun/ter2@h"], 2),
        (
            "import logging; logging.getLogger('x').warning('at http://u:hunter2@h'); raise ValueError('u:hunter2@h')",
            [],
            1,
        ),
    ):
        job = [sys.executable, "-c", JOB.format(ending=ending), *flags]
        where = {**os.environ, "MLFLOW_TRACKING_PASSWORD": "hunter2"}
        done = subprocess.run(job, capture_output=True, text=True, timeout=600, env=where)
        assert done.returncode == status and done.stderr, done
        assert "hun" not in done.stdout + done.stderr
