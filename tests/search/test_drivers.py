"""Drivers of one study: kill -9, two at a time, and databases that cannot be opened."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from tests.helpers import driver_environment
from tests.helpers.toy_study import identity, run, table

from unblur.errors import UserError
from unblur.search import lease
from unblur.search.lock import alone, driving
from unblur.search.storage import local_url, open_storage
from unblur.search.study import Study

DRIVER = """
import sys, time
from pathlib import Path
from tests.helpers.toy_study import identity
from tests.helpers.toy_values import value
from unblur.search.lock import driving
from unblur.search.storage import local_url
from unblur.search.study import Study
url = local_url(Path(sys.argv[1]))
study = Study.open(identity(), url)
with driving(url, study.name):
    study.settle()
    while study.missing(10):
        number, params = study.ask()
        print(number, flush=True)
        for epoch in range(1, 10):
            time.sleep(0.03)
            if study.report(number, epoch, value(params, epoch)):
                study.prune(number)
                break
        else:
            study.complete(number)
"""


HOLDER = """
import sys
from unblur.search.lock import driving
with driving(*sys.argv[1:]):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, **pipes, text=True, env=driver_environment())


def test_kill_9_loses_and_repeats_nothing(tmp_path: Path) -> None:
    whole = Study.open(identity(), local_url(tmp_path / "whole"))
    run(whole, 10)
    begun: list[list[int]] = []
    for trials_before_the_kill in (2, 3, 100):
        driver = start(DRIVER, str(tmp_path))
        assert driver.stdout is not None and driver.stderr is not None
        begun.append([])
        for line in driver.stdout:
            begun[-1].append(int(line))
            if len(begun[-1]) == trials_before_the_kill:
                time.sleep(0.03)
                driver.send_signal(signal.SIGKILL)
                break
        assert driver.wait(60) in (-signal.SIGKILL, 0), driver.stderr.read()
        begun[-1] += [int(line) for line in driver.stdout]
    finished = Study.open(identity(), local_url(tmp_path))
    assert table(finished) == table(whole)
    for earlier, later in itertools.pairwise(filter(None, begun)):
        assert later[0] in (earlier[-1], earlier[-1] + 1), "only the interrupted trial is begun again"
    assert sorted({number for run in begun for number in run}) == list(range(10))


def test_one_live_driver(tmp_path: Path) -> None:
    url, name = local_url(tmp_path), "search"
    with start(HOLDER, url, name) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"driven by process {holder.pid} on"), driving(url, name):
            pass
        holder.kill()
    with driving(url, name), pytest.raises(UserError, match=f"driven by process {os.getpid()} on"), driving(url, name):
        pass


def test_a_database_that_is_away_for_a_while_does_not_end_the_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0)
    held, ended, beats = lease.Lease(create_engine("sqlite://"), "search", "me"), Event(), 0

    def run(statement: str) -> int:
        nonlocal beats
        beats += 1
        if beats == 3:
            ended.set()
            return 1
        raise OperationalError(statement, {}, Exception("the server is away"))

    monkeypatch.setattr(held, "run", run)
    held.beat(ended)
    assert beats == 3


def test_what_has_no_database_is_held_for_each_storage(tmp_path: Path) -> None:
    with alone("ablation a", "s3://one", tmp_path), alone("ablation a", "s3://two", tmp_path):
        with alone("ablation b", "s3://one", tmp_path):
            pass
        with (
            pytest.raises(UserError, match="the study ablation a is already"),
            alone("ablation a", "s3://one", tmp_path),
        ):
            pass


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/study", r"--study-url.*ann:\*\*\*@127.0.0.1:1/study.*refused"),
        ("postgresql://ann:secret@localhost:port/study", "--study-url"),
        ("postgres//ann:secret@localhost/study", "--study-url"),
        ("mysql://ann:secret@localhost/study", "--study-url"),
        ("sqlite:////proc/none/study.db", "--storage.*unable to open"),
    ],
)
def test_bad_databases(url: str, says: str) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=says) as caught:
        Study.open(identity(), url)
    assert "secret" not in str(caught.value) and time.monotonic() - start < 15


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text(json.dumps(["not", "a", "database"]) * 100)
    with pytest.raises(UserError, match=r"study\.db.*not a database"):
        Study.open(identity(), local_url(tmp_path))


def test_several_that_open_a_new_database_at_once(tmp_path: Path) -> None:
    """Each finds its tables, whoever of them made which."""
    together = Barrier(8)

    def opened(folder: Path) -> int:
        together.wait()
        with open_storage(local_url(folder)) as storage:
            return len(storage.get_all_studies())

    with ThreadPoolExecutor(8) as pool:
        for repeat in range(3):
            assert list(pool.map(opened, [tmp_path / str(repeat)] * 8)) == [0] * 8
