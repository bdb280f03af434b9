"""jobs/ablate.py stopped in the middle, as `ray job stop` does it, and begun again."""

import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.helpers.jobs import Run, command, environment

STUDY = {
    "question": "Which size?",
    "dataset": "sample",
    "model": "diffrec",
    "parameters": {"lr": 0.01, "T": 2},
    "grid": {"dims": [[4], [8], [16]]},
    "x": "dims",
    "seeds": 1,
    "epochs": 10,
}


def outcomes(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.rglob("outcome.json")}


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_where_it_was(tmp_path: Path, run: Run) -> None:
    (tmp_path / "sizes.yaml").write_text(yaml.safe_dump(STUDY))
    flags = ["--study", "sizes.yaml", "--concurrency", "1"]
    with subprocess.Popen(command("ablate", *flags), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as driver:
        while not outcomes(tmp_path):
            assert driver.poll() is None, "it ended before it could be stopped"
            time.sleep(0.1)
        driver.send_signal(signal.SIGTERM)
        _, told = driver.communicate(timeout=600)
    assert driver.returncode == 130 and b"the same command goes on" in told, told.decode()
    before = outcomes(tmp_path)
    assert len(before) < 3
    done = run(tmp_path, "ablate", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    after = outcomes(tmp_path)
    assert len(after) == 3 and before.items() <= after.items()
    assert pd.read_csv(tmp_path / "sizes.csv").dims.tolist() == ["[4]", "[8]", "[16]"]
