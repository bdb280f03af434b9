"""A search as a person sees it: in a terminal of 80 columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from tests.helpers.jobs import command, environment

COLUMNS = 80
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(folder: Path, *flags: object) -> tuple[int, str]:
    """Run `jobs/tune.py` with a pseudo-terminal for its output; its status and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    where = {key: value for key, value in environment().items() if key not in ("COLUMNS", "NO_COLOR")}
    where |= {"TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command("tune", *flags), cwd=folder, env=where, stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT
    ) as job:
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


@pytest.mark.slow
def test_the_table_of_a_search(tmp_path: Path, data_flags: list[str], space: Path) -> None:
    plan = ["--trials", 2, "--epochs", 4, "--eval-every", 2, "--seeds", 1, "--concurrency", 1]
    status, written = in_terminal(tmp_path, *data_flags, "--search-space", space, *plan)
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
