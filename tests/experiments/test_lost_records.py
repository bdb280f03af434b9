"""MLflow is a copy: whatever of a study is lost there is made whole by the next start, and no other start harms it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.in_place import finished, flags, without_ray
from tests.helpers.jobs import data_flags, here, plays

from unblur.errors import UserError
from unblur.experiments.storage_id import storage_id
from unblur.models.closed_form import ease
from unblur.tracking import names
from unblur.tracking.client import Store, connect

__all__ = ["data_flags", "finished", "flags", "plays", "without_ray"]
pytestmark = pytest.mark.usefixtures("without_ray")


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """The finished study's storage, in a folder of this test; its record in MLflow is still the other folder's."""
    shutil.copytree(finished / "unblur-runs", tmp_path / "unblur-runs")
    return tmp_path


def store_of(folder: Path) -> Store:
    return connect(f"sqlite:///{folder}/mlflow.db")


def runs(store: Store, *kinds: str) -> list[Any]:
    found = store.client.search_runs([each.experiment_id for each in store.client.search_experiments()])
    return [run for run in found if not kinds or run.data.tags[names.KIND] in kinds]


def seen(store: Store) -> dict[tuple[str, str], Any]:
    """What MLflow has of a study, by kind and number; tags are those that reports read."""
    tags = {names.CONFIGURATION, names.SEED, names.INFERENCE, names.STATE, names.MODEL, names.STARTS, names.VERSION}
    return {
        (run.data.tags[names.KIND], run.data.tags[names.NUMBER]): {
            "status": run.info.status,
            "name": run.info.run_name,
            "params": run.data.params,
            "metrics": run.data.metrics,
            "tags": {name: value for name, value in run.data.tags.items() if name in tags},
            "curve": [(point.step, point.value) for point in curve(store, run)],
        }
        for run in runs(store)
    }


def curve(store: Store, run: Any) -> list[Any]:
    return list(store.client.get_metric_history(run.info.run_id, "valid/ndcg_at_10"))


def times(store: Store) -> list[float]:
    """When the trials and final runs began, reported and ended, in seconds."""
    found = runs(store, "trial", "final")
    ms = [time for run in found for time in (run.info.start_time, run.info.end_time)]
    return sorted(time / 1000 for time in [*ms, *(point.timestamp for run in found for point in curve(store, run))])


@pytest.mark.parametrize(
    "lost", [["study"], ["trial"], ["final"], ["study", "final"], ["study", "trial", "final"]], ids=" ".join
)
def test_whatever_is_lost_is_there_again_with_all_it_had(finished: Path, flags: list[object], lost: list[str]) -> None:
    store = store_of(finished)
    before = seen(store)
    assert {each["status"] for each in before.values()} == {"FINISHED"} and len(before) == 4
    assert all(each["params"] for each in before.values())
    assert all(each["metrics"]["train/seconds"] > 0 for (kind, _), each in before.items() if kind != "study")
    when = times(store)
    for run in runs(store, *lost):
        store.client.delete_run(run.info.run_id)
    done = here(finished, "tune", *flags)
    assert done.returncode == 0, done.stderr
    assert seen(store) == before and times(store) == pytest.approx(when, abs=0.5)
    (parent,) = runs(store, "study")
    children = runs(store, "trial", "final")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}, "no orphans"


def test_without_the_kept_reports_the_record_is_enough(finished: Path, flags: list[object]) -> None:
    """A damaged copy of what was said costs no trial and no final run its value."""
    store = store_of(finished)
    before = seen(store)
    for file in (finished / "unblur-runs").rglob("reports/*.json"):
        file.write_text("{")
    for run in runs(store):
        store.client.delete_run(run.info.run_id)
    assert here(finished, "tune", *flags).returncode == 0
    after = seen(store)
    for key, run in before.items():
        assert (after[key]["status"], after[key]["params"]) == (run["status"], run["params"])
        for name in ("valid/ndcg_at_10", "valid/best_ndcg_at_10", "test/ndcg_at_10"):
            assert after[key]["metrics"].get(name) == run["metrics"].get(name)


def test_another_storage_is_another_study_and_a_stop_there_harms_none(
    finished: Path, tmp_path: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(finished)
    before = {run.info.run_id: run.to_dictionary() for run in runs(store)}

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    other = [*flags, "--storage", tmp_path / "runs", "--tracking-uri", f"sqlite:///{finished}/mlflow.db"]
    with monkeypatch.context() as patch:
        patch.setattr(ease.Model, "fit", stopped)
        assert here(tmp_path, "tune", *other).returncode == 130
    after = {run.info.run_id: run.to_dictionary() for run in runs(store)}
    assert {key: after[key] for key in before} == before, "what the first storage has recorded is as it was"
    states = sorted(run["info"]["status"] for key, run in after.items() if key not in before)
    assert states == ["KILLED", "KILLED"], "a study of its own, and its trial"
    assert here(finished, "report", "--dataset", "plays", "--output", "r.html").returncode == 0


def test_a_storage_that_is_moved_stays_the_same(folder: Path, finished: Path, flags: list[object]) -> None:
    assert storage_id(str(folder / "unblur-runs")) == storage_id(str(finished / "unblur-runs"))
    before = seen(store_of(finished))
    assert here(folder, "tune", *flags, "--tracking-uri", f"sqlite:///{finished}/mlflow.db").returncode == 0
    assert seen(store_of(finished)).keys() == before.keys() and len(runs(store_of(finished), "study")) == 2


def test_a_stop_of_a_finished_study_that_goes_on_takes_nothing_back(
    finished: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ease.Model, "fit", stopped)
        assert here(finished, "tune", *flags, "--trials", 3).returncode == 130
    parent = max(runs(store_of(finished), "study"), key=lambda run: len(run.data.metrics))
    assert parent.info.status == "FINISHED" and parent.data.metrics["test/ndcg_at_10"] > 0


def test_a_damaged_id_of_a_storage_is_named(tmp_path: Path) -> None:
    (tmp_path / "storage.json").write_text("[]")
    with pytest.raises(UserError, match=f"{tmp_path}/storage.json: is damaged .*delete it"):
        storage_id(str(tmp_path))
    (tmp_path / "storage.json").unlink()
    assert storage_id(str(tmp_path)) == storage_id(str(tmp_path))
