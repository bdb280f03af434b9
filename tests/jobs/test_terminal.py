"""A search as a person sees it: in a terminal of 80 columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.helpers.jobs import command, environment

COLUMNS = 80
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


WAITING = """
import sys
from unblur.cli import console
from unblur.experiments.progress import Progress
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress as Report

now = 0.0
params = {"lr": 0.001, "weight_decay": 1e-06, "batch_size": 400, "dims": [1000], "noise_scale": 0.1, "name": "the last"}
records = [TrialRecord(number, State.PRUNED, dict.fromkeys(params, number), values={10: 0.1}) for number in range(4)]
records.append(TrialRecord(4, State.COMPLETE, params, 0.2, {30: 0.1}))
clock = lambda: now
with Progress(console(), 8, "ndcg@10", "ndcg_at_10", records, epochs=60, title="cfg_diffrec", clock=clock) as shown:
    shown.started(5, params)
    shown.progressed(5, Report(60, {"ndcg_at_10": 0.3}))
    now = 60.0
    shown.ended(5, State.COMPLETE, None)
    now = 90.0
    for number in (6, 7):
        shown.started(number, params)
    now = 120.0
"""
"""A search whose status takes a line and a bit."""


def in_terminal(folder: Path, words: Sequence[str]) -> tuple[int, str]:
    """Run a command with a pseudo-terminal for its output; its status and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    where = {key: value for key, value in environment().items() if key not in ("COLUMNS", "NO_COLOR")}
    where |= {"TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, cwd=folder, env=where, stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT) as job:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the last who could write to it has ended
                break
            if not piece:
                break
            written += piece
    os.close(ours)
    return job.returncode, ESCAPES.sub("", written.decode("utf-8", "replace")).replace("\r", "\n")


def test_what_is_wider_than_the_terminal_goes_on_in_the_next_line(tmp_path: Path) -> None:
    status, written = in_terminal(tmp_path, [sys.executable, "-c", WAITING])
    assert status == 0, written
    lines = written.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    said = " ".join(written.split())
    heading = "cfg_diffrec: 2 running, 2 complete, 4 pruned of 8; 2 min elapsed, about 30 s left"
    assert len(heading) > COLUMNS and heading in said
    assert "best: trial 5" in said and "name=thelast" in said.rpartition("best: trial 5")[2]
    cut = [line for line in lines if line.split()[1:2] == ["pruned"]]
    assert cut and all(line.rstrip().endswith("…") for line in cut), cut


@pytest.mark.slow
def test_the_table_of_a_search(tmp_path: Path, data_flags: list[str], space: Path) -> None:
    plan = ["--trials", 2, "--epochs", 4, "--eval-every", 2, "--seeds", 1, "--concurrency", 1]
    status, written = in_terminal(tmp_path, command("tune", *data_flags, "--search-space", space, *plan))
    assert status == 0, written[-3000:]
    lines = written.splitlines()
    assert lines[0].startswith("loading")
    for step in ("preparing the data", "opening MLflow", "starting Ray"):
        assert any(line.startswith(step) for line in lines), step
    tables = written.partition("starting Ray")[2]
    assert re.search(r"\n *trial +state +epoch +ndcg@10 +best +parameters", tables)
    for number in (0, 1):
        assert re.search(rf"\n *{number} +complete +4/4 +0\.\d{{4}} +0\.\d{{4}} +lr=", tables), tables[-4000:]
    assert re.search(r"\d (?:running|complete).* of 2; \d+ s elapsed", tables), tables[-4000:]
    assert re.search(r"\nbest: trial [01], ndcg@10 0\.\d{4}  \w+=", tables), tables[-4000:]
