"""How a job ends: one line and an exit status."""

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
        (TWICE, 130, "interrupted: the same command goes on from here\n"),
    ],
)
def test_one_line_and_a_status(ending: str, status: int, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", JOB.format(ending=ending)], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (status, told)
