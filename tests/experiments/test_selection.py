"""A search that selects by other data than the given validation: what the trials see, and what the final runs do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.helpers.in_place import engine
from tests.helpers.jobs import data_flags, here, plays, recorded
from tests.helpers.mlflow_store import new_database

from unblur import models
from unblur.data import openings
from unblur.data.dataset import Dataset
from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.experiments.final_runs import FinalRuns
from unblur.experiments.options import SearchOptions
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.tracking.client import connect
from unblur.training.loop import TrainingSchedule
from unblur.training.record import State, TrialRecord

__all__ = ["data_flags", "plays"]
MODEL = "gaussian_cfg"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, data_flags: list[str]) -> Iterator[Path]:
    """A folder with a finished study that selected across the gap."""
    folder = tmp_path_factory.mktemp("searched")
    new_database(folder)
    flags = ["--model", MODEL, "--trials", 2, "--seeds", 1, "--validation", "gap", "--summary", "s.json"]
    with engine():
        done = here(folder, "tune", *data_flags, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "selection by validation gap: train 2,100, 600 hidden, validation 600 of 300 users" in done.stdout
    yield folder


@pytest.fixture(scope="module")
def data(searched: Path, plays: Path) -> PreparedData:
    request = DataRequest(dataset=str(plays), user_column="listener", item_column="track", time_column="played_at")
    found = prepare_data(request, str(searched / "unblur-runs"), None, Console(quiet=True))
    return replace(found, validation="gap")


def fitted(settings: dict[str, Any], dataset: Dataset) -> Any:
    model: Any = models.model_class(MODEL)(models.configure(MODEL, settings, "test"), dataset.n_users, dataset.n_items)
    model.fit(dataset)
    return model


def test_trials_select_across_the_gap_and_the_final_run_trains_on_the_whole_of_train(
    searched: Path, data: PreparedData
) -> None:
    summary = json.loads((searched / "s.json").read_text())
    trial = recorded(searched)[summary["best"]["number"]]
    assert summary["inference"] == [trial.user_attrs["inference"]], "what the search chose, not another sweep"
    settings = {**summary["best"]["params"], **trial.user_attrs["inference"]}
    on_trial = fitted(settings, data.selection)
    assert summary["best"]["valid"] == pytest.approx(validate(on_trial, data.selection).metrics()["ndcg_at_10"])
    (saved,) = (searched / "unblur-runs").glob("studies/plays/*/final/*/model")
    history, users = data.dataset.history(), torch.arange(20).numpy()
    shown = models.load(saved).score(history.rows(users), users)
    right, wrong = (fitted(settings, each).score(history.rows(users), users) for each in (data.dataset, data.selection))
    torch.testing.assert_close(shown, right)
    assert not torch.allclose(shown, wrong, rtol=1e-3)


def test_the_numbers_say_so_and_the_test_is_opened_once(searched: Path, data: PreparedData) -> None:
    assert list(openings.reasons(data.folder).values()) == [1]
    client = connect(f"sqlite:///{searched}/mlflow.db").client
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    (study,) = [run.data.tags for run in runs if run.data.tags["unblur.kind"] == "study"]
    assert study["unblur.validation"] == "gap"
    assert "selected by validation gap: the validation part across a gap" in study["unblur.metrics"]


def test_final_runs_last_as_long_as_the_search_found_best() -> None:
    schedule = TrainingSchedule(epochs=50, eval_every=5, patience=20)
    grid = ({"guidance_scale": 0.0}, {"guidance_scale": 2.0})
    runs = FinalRuns("nowhere", 3, "cfg_diffrec", {"dims": [4]}, 0, 2, schedule, grid)
    values = {5: 0.1, 10: 0.3, 15: 0.3, 20: 0.2}
    found = runs.as_chosen(TrialRecord(3, State.COMPLETE, {}, 0.3, values, {"guidance_scale": 2.0}))
    for each in found.trainings().assignments:
        task: Any = each.task
        assert (task.schedule.epochs, task.schedule.eval_every, task.schedule.patience) == (10, 10, 10)
        assert task.grid == ({"guidance_scale": 2.0},)
    assert runs.as_chosen(TrialRecord(3, State.COMPLETE, {}, 0.3, values)).grid == ()


def test_an_unknown_validation_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"--validation = 'next': .*unknown validation.*gap, given, last"):
        SearchOptions(validation="next")
