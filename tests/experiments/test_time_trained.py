"""A search that is stopped, left alone and run again: its time is what was trained, and not what the calendar says."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.in_place import without_ray
from tests.helpers.jobs import data_flags, here, plays, space

from unblur.experiments.recording import Recorder
from unblur.formatting import duration
from unblur.reporting import tables
from unblur.reporting.costs import Cost
from unblur.reporting.loading import load
from unblur.tracking.client import connect
from unblur.tracking.reader import Reader
from unblur.training import loop

__all__ = ["data_flags", "plays", "space", "without_ray"]
REST = 60.0
"""Seconds in which nothing runs; they are not waited for, but taken off the times at which runs began."""


@pytest.fixture
def stopped(tmp_path: Path, without_ray: None, data_flags: list[str], space: Path) -> Iterator[list[Any]]:
    """The command of a search that was stopped in its first trial and has rested since."""
    flags = [*data_flags, "--search-space", space, "--trials", 2, "--seeds", 1, "--epochs", 8, "--eval-every", 2]
    whole = Recorder.progressed

    def progressed(recorder: Recorder, number: int, progress: Any) -> None:
        whole(recorder, number, progress)
        if progress.epoch == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0)
        patch.setattr(Recorder, "progressed", progressed)
        assert here(tmp_path, "tune", *flags).returncode == 130
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET start_time = start_time - ?", (int(1000 * REST),))
    yield flags


def test_the_reports_seconds_are_the_sum_of_the_trials_own(stopped: list[Any], tmp_path: Path) -> None:
    store = connect(f"sqlite:///{tmp_path}/mlflow.db")
    before = {run.data.tags["unblur.number"]: run.data.metrics["train/seconds"] for run in trials(store)}
    assert list(before) == ["0"]
    done = here(tmp_path, "tune", *stopped)
    assert done.returncode == 0 and "trial 0: started again, having been at epoch 4" in done.stdout
    runs = {run.data.tags["unblur.number"]: run for run in trials(store)}
    own = {number: run.data.metrics["train/seconds"] for number, run in runs.items()}
    assert own["0"] > before["0"], "what it had trained before the stop counts"
    first = runs["0"].info
    assert (first.end_time - first.start_time) / 1000 > REST > sum(own.values()), "the rest is in the calendar alone"
    (study,) = load(Reader(store), "plays", "clean").studies
    assert study.search_seconds() == pytest.approx(sum(own.values()))
    (row,) = tables.budgets([study]).rows
    assert duration(sum(own.values())) in row
    whole = store.client.get_run(study.run.id).data.metrics
    parent = whole["train/seconds"]
    finals = [run for run in every(store) if run.data.tags["unblur.kind"] == "final"]
    assert parent == pytest.approx(sum(own.values()) + sum(run.data.metrics["train/seconds"] for run in finals))
    assert Cost.of(study).search == pytest.approx(sum(own.values()) / 3600), "one CPU each"
    assert whole["spent/core_hours"] == pytest.approx(parent / 3600) and whole["spent/gpu_hours"] == 0
    assert whole["spent/kwh"] == pytest.approx(parent / 3600 * sum(study.watts().values()) / 1000)
    assert whole["spent/kg_co2e_world"] == pytest.approx(0.475 * whole["spent/kwh"])


def every(store: Any) -> list[Any]:
    experiment = store.client.get_experiment_by_name("plays/clean").experiment_id
    return list(store.client.search_runs([experiment]))


def trials(store: Any) -> list[Any]:
    return [run for run in every(store) if run.data.tags["unblur.kind"] == "trial"]
