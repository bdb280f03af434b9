"""What killed drivers leave below the temporary folder is swept; what is in use, or somebody else's, is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.running.leftovers import LOCK, in_use, sweep

DRIVER = """
import sys, time
from pathlib import Path
from unblur.running.leftovers import in_use
with in_use(Path(sys.argv[1])):
    print("begun", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_swept_once_its_driver_is_killed(tmp_path: Path) -> None:
    (folder := tmp_path / "unblur-tune-a").mkdir()
    (folder / "state.json").touch()
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None and driver.stdout.readline() == "begun\n"
        assert sweep([folder]) == [] and folder.exists()
        driver.send_signal(signal.SIGKILL)
    assert sweep([folder]) == [folder] and not folder.exists()


def test_what_ended_by_itself_or_is_no_drivers_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, other, linked = (tmp_path / name for name in ("ended", "other", "linked"))
    ended.mkdir(), other.mkdir()
    with in_use(ended):
        assert [file.name for file in ended.iterdir()] == [LOCK]
    (other / LOCK).touch()
    linked.symlink_to(other)
    assert sweep([ended, linked, tmp_path / "gone"]) == []
    monkeypatch.setattr(os, "getuid", lambda: other.stat().st_uid + 1)
    assert sweep([other]) == [] and other.exists(), "it is another user's"
