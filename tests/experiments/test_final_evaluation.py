"""The final runs and their tests: seeds of their own, the history that was asked for, one test each, the best is kept.

Their tasks are run here, as the engine would run them; then nothing is left for Ray.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from unblur import models
from unblur.data import openings
from unblur.data.dataset import HistoryName
from unblur.data.request import DataRequest
from unblur.data.test_set import TestSet
from unblur.errors import UserError
from unblur.evaluation.ranking import evaluate, rank
from unblur.experiments import final_evaluation, test_once
from unblur.experiments.final_evaluation import FinalEvaluation, FinalResult
from unblur.experiments.final_runs import FinalRuns
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.files import read_json
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.training.loop import TrainingSchedule
from unblur.training.workers import Workers

SEEDS = 3
ROWS = [f"u{user},i{(3 * user + 7 * step + user * step) % 31},{step}" for user in range(60) for step in range(14)]
SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("final")
    (folder / "plays.csv").write_text("\n".join(["user,item,timestamp", *ROWS]) + "\n")
    return folder


def prepared(storage: Path, history: HistoryName) -> PreparedData:
    return prepare_data(DataRequest(dataset=str(storage / "plays.csv")), str(storage), None, SILENT, history)


@pytest.fixture(scope="module")
def runs(storage: Path) -> FinalRuns:
    """Trained, with each seed."""
    params = {"dims": [4], "batch_size": 30, "T": 2, "lr": 0.05}
    schedule = TrainingSchedule(epochs=1, eval_every=1)
    runs = FinalRuns(str(storage / "runs"), 7, "diffrec", params, seed=0, seeds=SEEDS, schedule=schedule)
    for each in runs.trainings().assignments:
        each.task.run(prepared(storage, "train").dataset, lambda _: None, Workers())
    return runs


class Tracker:
    """One that remembers what it was told."""

    store, parent_run_id = SimpleNamespace(), "parent"

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def log(self, *_: Any) -> None: ...

    def finish(self, metrics: Any, values: Any, artifacts: Any, tags: Any) -> None:
        self.told = {"values": values, **tags}

    def note_study(self, tags: Any, metrics: Any = None, files: Any = None) -> None:
        self.told |= {**tags, **(files or {})}

    def flush(self, timeout: float) -> bool:
        return True


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    folders: list[Path] = []
    monkeypatch.setattr(final_evaluation, "register", lambda _, folder, *more: folders.append(folder) or "models:/m/1")
    monkeypatch.setattr(final_evaluation, "challenge", lambda *_: "decided")
    return folders


def concluded(runs: FinalRuns, data: PreparedData) -> tuple[FinalResult, Tracker]:
    opened = data.open_test("a test of the tests")
    for each in runs.tests(opened.history).assignments:
        each.task.run(opened, lambda _: None, Workers())
    tracker: Any = Tracker()
    return FinalEvaluation(runs, data, tracker, SILENT).test(Execution(Resources())), tracker


def test_every_seed_is_a_training_of_its_own(runs: FinalRuns) -> None:
    seeds = [each.task.seed for each in runs.trainings().assignments]
    assert len(set(seeds)) == SEEDS
    first, *others = (models.load(Path(runs.home(number)) / "model").network.w_in for number in runs.numbers)
    assert not any(first.equal(other) for other in others)


def test_the_sweep_over_inference_is_that_of_the_search(runs: FinalRuns) -> None:
    grid = ({"t_prime_share": 0.0}, {"t_prime_share": 1.0})
    swept = FinalRuns(runs.folder, 7, "diffrec", runs.params, 0, SEEDS, runs.schedule, grid)
    assert [each.task.grid for each in swept.trainings().assignments] == [grid] * SEEDS


def test_a_few_users_are_shown_with_what_the_registered_model_gives_them(
    runs: FinalRuns, storage: Path, registered: list[Path]
) -> None:
    data = prepared(storage, "train")
    result, tracker = concluded(runs, data)
    shown = json.loads(tracker.told["examples.json"])
    best = runs.numbers[int(np.argmax(result.valid))]
    model, known = models.load(Path(runs.home(best)) / "model"), data.dataset.known()
    users = np.arange(data.dataset.n_users)
    ranked = data.dataset.items[rank(model, known, data.dataset.masked_at_test, users, 5)].tolist()
    newest = [row[row < data.dataset.n_items][::-1] for row in known.sequences(5)[0]]  # padded with that
    whole = {(tuple(data.dataset.items[had].tolist()), tuple(gets)) for had, gets in zip(newest, ranked, strict=True)}
    assert len(shown) == 5 and all((tuple(each["had"]), tuple(each["gets"])) in whole for each in shown)


def test_titles_that_cannot_be_read_cost_no_result(
    runs: FinalRuns, storage: Path, registered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> dict[str, str]:
        raise UserError("titles.csv: no such file of titles; put it back")

    monkeypatch.setattr(final_evaluation, "titles_of", gone)
    assert json.loads(concluded(runs, prepared(storage, "train"))[1].told["examples.json"])


@pytest.mark.parametrize("history", ["train", "train+valid"])
def test_each_model_is_tested_with_the_history_that_was_asked_for(
    history: HistoryName, runs: FinalRuns, storage: Path, registered: list[Path]
) -> None:
    data = prepared(storage, history)
    result, tracker = concluded(runs, data)
    assert tracker.told["unblur.history"] == history
    opened = TestSet.open("by hand", Path(storage), data.dataset)
    both = (data.dataset.train + data.dataset.valid).tocsr()
    for place, number in enumerate(runs.numbers):
        users = runs.test(number, history).per_user()["user"].to_list()
        assert users == np.flatnonzero(np.diff(opened.test.indptr)).tolist(), (
            "rows of the data, nobody's id: this table goes to MLflow"
        )
        model = models.load(Path(runs.home(number)) / "model")
        shown = evaluate(model, data.dataset, opened.test, both, with_valid_history="valid" in history).metrics()
        other = evaluate(model, data.dataset, opened.test, both, with_valid_history="valid" not in history).metrics()
        assert result.test["ndcg_at_10"][place] == pytest.approx(shown["ndcg_at_10"], abs=1e-9)
        assert result.test["ndcg_at_10"][place] != pytest.approx(other["ndcg_at_10"], abs=1e-6)


def test_registered_is_the_seed_that_is_best_on_validation(
    runs: FinalRuns, storage: Path, registered: list[Path]
) -> None:
    result, _ = concluded(runs, prepared(storage, "train"))
    valid = [(read_json(f"{runs.home(number)}/outcome.json") or {})["value"] for number in runs.numbers]
    assert result.valid == valid and len(set(valid)) == SEEDS
    assert registered == [Path(runs.home(runs.numbers[valid.index(max(valid))])) / "model"]


@pytest.mark.parametrize(("what", "uri"), [("register", None), ("challenge", "models:/m/1")])
def test_a_registry_that_fails_costs_no_result(
    runs: FinalRuns, storage: Path, registered: list[Path], monkeypatch: pytest.MonkeyPatch, what: str, uri: str | None
) -> None:
    data = prepared(storage, "train")
    whole, _ = concluded(runs, data)

    def fails(*_: Any) -> str:
        raise UserError("the champion's files are gone.")

    monkeypatch.setattr(final_evaluation, what, fails)
    result, tracker = concluded(runs, data)
    assert result.test == whole.test and tracker.told["values"]["test/ndcg_at_10"] == whole.test["ndcg_at_10"]
    assert result.model_uri == uri and bool(result.unregistered) == (uri is None)
    told = result.unregistered or tracker.told["unblur.champion"]
    assert "the champion's files are gone. The same command" in told


@pytest.mark.parametrize("lost", ["model", "model/weights.safetensors", "model/config.json"])
def test_a_model_that_was_deleted_is_trained_again(runs: FinalRuns, storage: Path, tmp_path: Path, lost: str) -> None:
    copied = replace(runs, folder=str(shutil.copytree(runs.folder, tmp_path / "runs")))
    assert copied.trainings().missing() == []
    path = Path(copied.home(copied.numbers[1])) / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (missing,) = copied.trainings().missing()
    assert missing.number == copied.numbers[1]


def test_a_model_is_tested_once(
    runs: FinalRuns, storage: Path, registered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(storage, "train")
    first, _ = concluded(runs, data)
    monkeypatch.setattr(test_once, "evaluate_folder", lambda *_: pytest.fail("it was tested before"))
    again, _ = concluded(runs, data)
    assert again == first and not runs.tests("train").missing()
    opened = openings.reasons(data.folder).keys()
    assert opened <= {"a test of the tests", "by hand"}, "where nothing is left to test, nothing is opened"
