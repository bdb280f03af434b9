"""The tuning job as a user submits it: a head with token authentication, then `ray job submit`, `stop`, `submit`."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.jobs import command
from tests.helpers.ray_head import Head
from tests.helpers.remedies import assert_mendable
from tests.jobs.test_tune import finished_records, finished_trials, runs

pytestmark = pytest.mark.slow
TRIALS = 6


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    head = Head(tmp_path_factory.mktemp("home"))
    yield head
    head.stop()


@pytest.fixture
def flags(data_flags: list[str], space: Path, tmp_path: Path) -> list[object]:
    places = ["--storage", tmp_path / "unblur-runs", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    # long enough for a trial still to run when the `ray` command line has come up to stop it
    plan = ["--trials", TRIALS, "--epochs", 1800, "--eval-every", 200, "--patience", 1800, "--seeds", 1]
    return [
        *data_flags,
        "--search-space",
        space,
        *places,
        *plan,
        "--trainer",
        "local",
        "--summary",
        tmp_path / "s.json",
    ]


def test_a_search_that_is_stopped_in_the_middle_and_submitted_again(
    head: Head, flags: list[object], tmp_path: Path
) -> None:
    database = tmp_path / "unblur-runs" / "study.db"
    assert head.submit(*flags, name="first", wait=False).returncode == 0
    deadline = time.monotonic() + 300
    while not finished_trials(database):
        assert time.monotonic() < deadline, head.job("logs", "first")
        time.sleep(0.1)
    head.job("stop", "first")
    assert "stopped" in head.job("status", "first")
    assert "interrupted: the same command goes on" in head.job("logs", "first")
    parent = runs(tmp_path).set_index("tags.unblur.kind").loc["study"]
    assert (parent.status, parent["tags.unblur.reason"]) == ("KILLED", "interrupted")
    before = finished_records(database)
    assert 1 <= len(before) < TRIALS, "it was stopped in the middle"

    done = head.submit(*flags, name="second")
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished_records(database)
    assert sorted(after) == list(range(TRIALS)) and {number: after[number] for number in before} == before
    begun = set(map(int, re.findall(r"trial (\d+): started", done.stdout.partition("search:")[0])))
    assert begun == after.keys() - before.keys(), "what was finished was not begun again"
    assert sum(json.loads((tmp_path / "s.json").read_text())["trials"].values()) == TRIALS
    found = runs(tmp_path)
    trials = found[found["tags.unblur.kind"] == "trial"]
    assert sorted(map(int, trials["tags.unblur.number"])) == list(range(TRIALS))
    assert (found["tags.unblur.kind"] == "study").sum() == 1 and set(trials.status) <= {"FINISHED", "KILLED"}


def test_a_submitted_mistake_fails_the_job_with_its_message(head: Head) -> None:
    done = head.submit("--dataset", "no_such_dataset", name="mistake")
    assert done.returncode == 1
    assert "unknown dataset 'no_such_dataset'" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("no-token", {"RAY_AUTH_MODE": "disabled"}, "Missing authentication token"),
        ("wrong-token", {"RAY_AUTH_TOKEN": "0" * 64}, "Invalid authentication token"),
    ],
)
def test_without_the_token_nothing_is_submitted(
    head: Head, flags: list[object], name: str, changes: dict[str, str], says: str
) -> None:
    done = head.submit(*flags, name=name, **changes)
    assert done.returncode != 0 and says in done.stdout + done.stderr
    assert name not in head.job("list")


@pytest.mark.parametrize(
    "changes", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 64}, {"HOME": "/nonexistent"}]
)
def test_a_driver_without_the_token_is_told_what_to_set(head: Head, tmp_path: Path, changes: dict[str, str]) -> None:
    where = {**head.environment, "RAY_ADDRESS": head.gcs, **changes}
    plan = ["--dry-run", "--data-dir", tmp_path]
    done = subprocess.run(command("tune", *plan), cwd=tmp_path, env=where, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert_mendable(done.returncode, done.stdout, done.stderr)
    assert all(each in done.stderr for each in ("error:", head.gcs, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"))
