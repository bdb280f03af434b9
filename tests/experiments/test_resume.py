"""What a resume may mix, and what it says: other versions, a lost database, a budget, an interrupted `--fresh`."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.in_place import finished, flags, without_ray
from tests.helpers.jobs import data_flags, here, plays

import unblur
from unblur import provenance
from unblur.experiments import study_opening
from unblur.models.closed_form import ease
from unblur.tracking.client import connect

__all__ = ["data_flags", "finished", "flags", "plays", "without_ray"]
pytestmark = pytest.mark.usefixtures("without_ray")


def told(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "s.json").read_text())
    return summary


def runs(folder: Path) -> list[Any]:
    client = connect(f"sqlite:///{folder}/mlflow.db").client
    return list(client.search_runs([each.experiment_id for each in client.search_experiments()]))


def test_every_run_says_which_version_and_commit_made_it(finished: Path) -> None:
    tags = [run.data.tags for run in runs(finished)]
    assert {each["unblur.kind"] for each in tags} == {"study", "trial", "final"}
    assert {each["unblur.version"] for each in tags} == {unblur.__version__}
    assert {each["unblur.commit"] for each in tags} == {provenance.commit() or ""}


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of the finished study, which is as it was afterwards."""
    kept = tmp_path / "kept"
    shutil.copytree(finished, kept)
    yield finished
    shutil.rmtree(finished / "unblur-runs")
    shutil.copytree(kept / "unblur-runs", finished / "unblur-runs")
    shutil.copy(kept / "s.json", finished)
    # through SQLite: MLflow holds the file open
    with closing(sqlite3.connect(kept / "mlflow.db")) as old, closing(sqlite3.connect(finished / "mlflow.db")) as now:
        old.backup(now)


def numbers(summary: dict[str, Any]) -> Any:
    return [summary[key] for key in ("study", "best", "test", "popularity", "trials")]


def test_another_version_goes_on_and_says_so(again: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(again)
    store, begun = connect(f"sqlite:///{again}/mlflow.db"), unblur.__version__
    for run in runs(again):
        if run.data.tags["unblur.kind"] != "study":
            store.client.delete_run(run.info.run_id)
    monkeypatch.setattr(unblur, "__version__", "9.9.9")
    done = here(again, "tune", *flags)
    assert re.search(r"resuming a study of version 0\.\S+( \(commit \S+\))?; this is 9\.9\.9$", done.stdout, re.M)
    assert numbers(told(again)) == numbers(before)
    versions = {run.data.tags["unblur.kind"]: run.data.tags["unblur.version"] for run in runs(again)}
    assert versions == {"study": f"{begun}, 9.9.9", "trial": begun, "final": begun}, "also of what was lost"


def test_another_training_version_is_another_study(
    again: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told(again)["study"]
    identity = study_opening.identity_of
    monkeypatch.setattr(
        "unblur.experiments.tune.identity_of", lambda *a: identity(*a).model_copy(update={"training": 99})
    )
    done = here(again, "tune", *flags)
    assert f"a study of its own beside {before}, which has training = {provenance.TRAINING} (now 99)\n" in done.stdout
    assert told(again)["study"] != before


def test_a_study_whose_trials_are_lost_is_not_begun_anew_in_silence(again: Path, flags: list[object]) -> None:
    before, database = told(again), again / "unblur-runs/study.db"
    copy = database.read_bytes()
    database.unlink()
    done = here(again, "tune", *flags)
    assert done.returncode == 2, done.stdout
    assert f"knows 2 trials of the study {before['study']}" in done.stderr and "has none" in done.stderr
    assert f"cp {database}.bak {database}" in done.stderr and "--fresh" in done.stderr
    shutil.copy(f"{database}.bak", database)
    assert here(again, "tune", *flags).returncode == 0
    assert numbers(told(again)) == numbers(before) and len(copy) == database.stat().st_size
    database.unlink()
    fresh = here(again, "tune", *flags, "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert told(again)["study"] == before["study"].removesuffix("-1") + "-2"
    assert here(again, "tune", *flags).returncode == 0, "the new one is the newest"


def test_an_older_copy_of_the_database_is_told_and_gone_on_from(again: Path, flags: list[object]) -> None:
    old = (again / "unblur-runs/study.db").read_bytes()
    assert here(again, "tune", *flags, "--trials", 4).returncode == 0
    four = told(again)
    (again / "unblur-runs/study.db").write_bytes(old)
    done = here(again, "tune", *flags, "--trials", 4)
    assert "MLflow knows 2 trials that the study has not" in done.stdout
    assert numbers(told(again)) == numbers(four)
    kinds = [run.data.tags["unblur.kind"] for run in runs(again)]
    assert kinds.count("trial") == 4 and kinds.count("superseded") == 2


def test_a_time_budget_is_spent_once(again: Path, flags: list[object]) -> None:
    first = here(again, "tune", *flags, "--trials", 9, "--time-budget", 1e-4, "--seed", 1)
    assert first.returncode == 0, first.stderr
    before, opened = told(again), openings(again)
    assert sum(before["trials"].values()) == 1, "at least one is begun"
    second = here(again, "tune", *flags, "--trials", 9, "--time-budget", 1e-4, "--seed", 1)
    assert "the time budget is spent" in second.stdout
    assert numbers(told(again)) == numbers(before) and openings(again) == opened
    here(again, "tune", *flags, "--trials", 3, "--time-budget", 1000, "--seed", 1)
    assert sum(told(again)["trials"].values()) == 3, "a larger budget goes on"


def test_where_no_trial_was_completed_it_says_what_to_do(
    again: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ease.Model, "fit", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
        failed = here(again, "tune", *flags, "--seed", 2)
        assert failed.returncode == 1 and "Trial 0: out of memory: no room." in failed.stderr
    for _ in range(2):
        stuck = here(again, "tune", *flags, "--seed", 2)
        assert stuck.returncode == 1 and "raise --trials" in stuck.stderr and "--fresh" in stuck.stderr
    more = here(again, "tune", *flags, "--seed", 2, "--trials", 3)
    assert more.returncode == 0 and told(again)["trials"] == {"complete": 1, "pruned": 0, "failed": 2}
    fresh = here(again, "tune", *flags, "--seed", 2, "--fresh")
    assert fresh.returncode == 0 and told(again)["study"].endswith("-2")


def openings(folder: Path) -> str:
    (log,) = (folder / "unblur-runs/data").glob("*/openings.jsonl")
    return log.read_text()


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def damaged(file: Path) -> None:
    """Other bytes in the middle of it, as many as there were: what only a digest can see."""
    data = bytearray(file.read_bytes())
    for place in range(len(data) // 2, min(len(data) // 2 + 8, len(data))):
        data[place] = data[place] ^ 1
    file.write_bytes(data)


@pytest.mark.parametrize("hurt", [Path.unlink, emptied, damaged])
def test_whatever_happens_to_a_file_of_a_study_its_numbers_stay_or_the_file_is_told(
    hurt: Callable[[Path], None], again: Path, flags: list[object], tmp_path: Path
) -> None:
    """Each in turn: the same command makes it again, or ends with 2 and names it."""
    right, home, kept = told(again), again / "unblur-runs", tmp_path / "kept/unblur-runs"
    study = home / "studies/plays" / right["study"]
    files = [path.relative_to(home) for path in study.rglob("*") if path.is_file()]
    kinds = {each.name for each in files}
    assert {"outcome.json", "metrics.json", "per_user.parquet", "best.yaml", "config.json"} <= kinds
    # which bytes of a database lie in its middle is chance: tests/search/test_damage.py has that
    database = [] if hurt is damaged else [Path("study.db")]
    for file in [*files, *database, Path("study.db.bak"), Path(f"{right['study']}.lock")]:
        hurt(home / file)
        done = here(again, "tune", *flags)
        assert "Traceback" not in done.stderr, f"{file}: {done.stderr}"
        if done.returncode == 2:
            assert file.name in done.stderr and ("--fresh" in done.stderr or "restore" in done.stderr), done.stderr
        else:
            assert done.returncode == 0, f"{file}: {done.stderr}"
            assert numbers(told(again)) == numbers(right), file
        # the outcome says how much memory it took; reports are copies of what MLflow has
        made_again = file in files and file.name != "outcome.json" and "reports" not in file.parts
        assert not made_again or (home / file).read_bytes() == (kept / file).read_bytes(), file
        shutil.copy(kept / file, home / file)
