"""Output never ends a run: a reader that went away, a full disk, a terminal without the letters."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tests.experiments.test_results import study

from unblur.experiments import display
from unblur.experiments.options import TrainOptions
from unblur.streams import Lasting


def lasting(encoding: str) -> tuple[Lasting, io.BytesIO]:
    shown = io.BytesIO()
    return Lasting(shown, encoding, "unblur-legible"), shown


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("ascii", b"0.31 +- 0.02 ? ..."), ("latin-1", b"0.31 \xb1 0.02 ? ..."), ("utf-8", "0.31 ± 0.02 漢 …".encode())],
)
def test_letters_that_an_encoding_has_not_are_replaced(encoding: str, found: bytes) -> None:
    stream, shown = lasting(encoding)
    stream.write("0.31 ± 0.02 漢 …")
    stream.flush()
    assert shown.getvalue() == found


def test_who_reads_no_more_is_not_missed() -> None:
    reads, writes = os.pipe()
    stream = Lasting(os.fdopen(writes, "wb"), "utf-8", line_buffering=True)
    console = Console(file=stream)
    console.print("heard")
    assert os.read(reads, 100) == b"heard\n"
    os.close(reads)
    for line in range(3):
        console.print(line)
    stream.close()


def test_a_full_disk_is_no_reason_to_stop() -> None:
    with Path("/dev/full").open("wb") as disk:
        stream = Lasting(disk, "utf-8")
        stream.write("x" * 100_000)
        stream.flush()


@pytest.mark.parametrize("where", ["| head -n 1", ">&- 2>&-", "> /dev/full"])
def test_a_program_ends_well_wherever_its_output_goes(where: str) -> None:
    words = "import sys; from unblur.streams import make_lasting; make_lasting(); print('±' * 300_000)"
    shell = f'"{sys.executable}" -c "{words}; print(1, file=sys.stderr)" {where}; exit ${{PIPESTATUS[0]}}'
    place = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, env=place)
    assert done.returncode == 0 and "Error" not in done.stderr, done


def test_the_summary_is_there_before_a_word_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OSError("nobody listens")

    monkeypatch.setattr(display, "show_study", lost)
    file = tmp_path / "s.json"
    with pytest.raises(OSError, match="nobody listens"):
        display.conclude(study("ease", [0.1]), TrainOptions(summary=file), Console(quiet=True))
    assert json.loads(file.read_text())["model"] == "ease"
