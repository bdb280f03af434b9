"""jobs/tune.py for several models: a study each with the same budget, one summary, one report that compares them."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from tests.helpers import ROOT
from tests.helpers.jobs import Run
from tests.helpers.mlflow_store import new_database

from unblur.errors import UserError
from unblur.experiments.options import SearchOptions
from unblur.experiments.tune import model_names

MODELS = ["ease", "popularity"]
TRIALS, SEEDS = 2, 2
PLAN = [
    "--model",
    ",".join(MODELS),
    "--trials",
    TRIALS,
    "--seeds",
    SEEDS,
    "--trainer",
    "local",
    "--summary",
    "all.json",
]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, run_here: Run, data_flags: list[str]) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("several")
    new_database(folder)
    done = run_here(folder, "tune", *data_flags, *PLAN)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "all.json").read_text())["models"])


def runs(folder: Path) -> pd.DataFrame:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    found: pd.DataFrame = mlflow.search_runs(search_all_experiments=True)  # type: ignore[assignment]
    return found


def test_every_model_got_the_same_budget(compared: tuple[Path, str]) -> None:
    folder, told = compared
    assert f"equal budget: each of 2 models gets {TRIALS} trials" in told
    found = summary(folder)
    assert list(found) == MODELS
    for each in found.values():
        assert sum(each["trials"].values()) == TRIALS
        assert len(each["test"]["ndcg_at_10"]["values"]) == 1, "whatever is asked for: nothing in them is random"
    kinds = runs(folder).groupby(["tags.unblur.kind"]).size()
    assert kinds.to_dict() == {"study": 2, "trial": 2 * TRIALS, "final": 2}


def test_the_runs_tell_what_the_report_and_the_compare_view_need(compared: tuple[Path, str]) -> None:
    found = runs(compared[0])
    trials, finals, studies = (found[found["tags.unblur.kind"] == kind] for kind in ("trial", "final", "study"))
    needed = ("valid/best_ndcg_at_10", "train/seconds", "train/memory_mib", "model/parameters")
    for name in (f"metrics.{each}" for each in needed):
        assert trials[name].notna().all() and finals[name].notna().all(), name
    for name in ("head", "middle", "tail"):
        assert f"metrics.test/recall_at_10_{name}" in studies
    assert studies["tags.unblur.command"].str.contains("tune.py --dataset").all()


def test_one_of_them_is_the_champion(compared: tuple[Path, str]) -> None:
    folder, told = compared
    said = runs(folder).set_index("tags.unblur.model")["tags.unblur.champion"].dropna()
    assert "first of this dataset" in said["ease"] and "does not become" in said["popularity"]
    assert said["popularity"] in told
    registered = mlflow.MlflowClient().get_registered_model("unblur-plays")
    aliases = {name: int(version) for name, version in registered.aliases.items()}
    assert aliases == {"champion": 1, "candidate": 2}


def test_the_table_at_the_end_is_that_of_the_summary(compared: tuple[Path, str]) -> None:
    folder, told = compared
    for model, each in summary(folder).items():
        test = each["test"]["ndcg_at_10"]
        row = next(line for line in told.splitlines() if line.startswith(f"│ {model} "))
        assert f"{test['mean']:.4f}" in row


def test_the_report_compares_them(compared: tuple[Path, str], run_here: Run) -> None:
    folder, _ = compared
    done = run_here(folder, "report", "--dataset", "plays", "--output", "report.html", "--markdown", "report.md")
    assert done.returncode == 0, done.stderr
    text = (folder / "report.md").read_text()
    for model, each in summary(folder).items():
        assert model in text and f"{each['test']['ndcg_at_10']['mean']:.4f}" in text
    assert "ease in the registry: it is the champion" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "ease,ease"}, "--model names ease more than once"),
        ({"model": "ease,esae"}, "unknown model 'esae'.*Did you mean 'ease'"),
        ({"model": "ease,"}, "unknown model ''"),
        ({"model": "ease,slim", "search_space": ROOT / "search_spaces" / "ease.yaml"}, "ease.yaml is one model's"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_names(SearchOptions(**options))
