"""jobs/tune.py end to end: what MLflow, the summary and the registry hold, and what happens when it runs again."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pandas as pd
import pytest
import yaml
from tests.helpers.jobs import Run, command, environment, here

from unblur import models
from unblur.search.space_file import load_space
from unblur.tracking import views
from unblur.tracking.client import connect

TRIALS, SEEDS = 4, 2


@pytest.fixture(scope="module")
def flags(data_flags: list[str], space: Path) -> list[object]:
    plan = ["--epochs", 6, "--eval-every", 2, "--seeds", SEEDS, "--trials", TRIALS, "--summary", "s.json"]
    return [*data_flags, "--search-space", space, *plan, "--trainer", "local"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, run_here: Run, flags: list[object]) -> Path:
    """A folder in which a search has run to its end."""
    folder = tmp_path_factory.mktemp("tune")
    done = run_here(folder, "tune", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "told.txt").write_text(done.stdout)
    return folder


def summary(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "s.json").read_text())
    return loaded


def runs(folder: Path) -> pd.DataFrame:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    found = mlflow.search_runs(search_all_experiments=True, output_format="pandas")
    assert isinstance(found, pd.DataFrame)
    return found


def test_mlflow_holds_the_study(finished: Path) -> None:
    found, told = runs(finished), summary(finished)
    parent = found[found.run_id == told["mlflow"]["parent_run_id"]].iloc[0]
    children = found[found["tags.mlflow.parentRunId"] == parent.run_id]
    trials = children[children["tags.unblur.kind"] == "trial"]
    assert len(children) == len(found) - 1
    assert len(trials) == TRIALS == sum(told["trials"].values())
    assert set(trials.status) == {"FINISHED"} == {parent.status}, "a pruned trial is no failure"
    assert set(trials["tags.unblur.state"]) <= {"complete", "pruned"}
    assert (children["tags.unblur.kind"] == "final").sum() == SEEDS
    best = trials[trials["tags.unblur.number"] == str(told["best"]["number"])].iloc[0]
    assert float(best["params.lr"]) == pytest.approx(told["best"]["params"]["lr"])
    assert best["metrics.valid/ndcg_at_10"] <= told["best"]["valid"] + 1e-9
    test = told["test"]["ndcg_at_10"]
    assert len(test["values"]) == SEEDS and parent["metrics.test/ndcg_at_10"] == pytest.approx(test["mean"])
    # only the parent and the final runs know anything of the test
    assert trials.filter(like="metrics.test/").isna().all(axis=None)


def test_the_parent_says_what_was_found_how_and_on_what(finished: Path) -> None:
    found, told = runs(finished), summary(finished)
    parent = found[found.run_id == told["mlflow"]["parent_run_id"]].iloc[0]
    note, best = parent["tags.mlflow.note.content"], told["best"]
    assert (
        parent["tags.unblur.configuration"] == str(best["number"])
        and parent["metrics.valid/best_ndcg_at_10"] == best["valid"]
    )
    assert json.loads(parent["tags.unblur.params"])["lr"] == best["params"]["lr"]
    assert "significantly ahead of popularity" in note and f"trial {best['number']} of {TRIALS}" in note
    assert "jobs/tune.py --dataset" in note and "torch" in note and "CPUs" in note and "models:/unblur-plays/1" in note
    gain = parent["metrics.test/over_popularity/ndcg_at_10"]
    assert gain == pytest.approx(told["test"]["ndcg_at_10"]["mean"] - told["popularity"]["ndcg_at_10"])
    children = found[found["tags.mlflow.parentRunId"] == parent.run_id]
    assert parent["metrics.train/seconds"] == pytest.approx(children["metrics.train/seconds"].sum())
    sentences = [value for value in parent.filter(like="params.") if len(str(value)) > 40]
    assert sentences == [] and parent["tags.mlflow.user"] and parent["tags.mlflow.source.name"] == "tune.py"


def test_the_parent_has_the_space_the_best_and_the_whole_sweep(finished: Path, space: Path) -> None:
    told, client = summary(finished), mlflow.MlflowClient(f"sqlite:///{finished}/mlflow.db")
    folder = Path(client.download_artifacts(told["mlflow"]["parent_run_id"], ""))
    kept = load_space(folder / "search_space.yaml", models.config_class(told["model"]))
    assert kept.model_dump() == load_space(space, models.config_class(told["model"])).model_dump()
    assert yaml.safe_load((folder / "best.yaml").read_text())["lr"] == told["best"]["params"]["lr"]
    sweep = pd.read_csv(folder / "sweep.csv")
    assert set(sweep.seed) == set(range(SEEDS)) and {"ndcg_at_10", "coverage_at_10"} <= set(sweep)
    for seed, chosen in enumerate(told["inference"]):
        rows = sweep[sweep.seed == seed]
        assert len(rows) == len(rows.drop_duplicates([*chosen])) > 1
        assert (rows[[*chosen]] == pd.Series(chosen)).all(axis=1).sum() == 1, "what was chosen is one of them"


def test_its_views_are_there_for_the_dashboard(finished: Path) -> None:
    names = [name for _, name, _ in views.saved(connect(f"sqlite:///{finished}/mlflow.db"))]
    assert names == ["models by ndcg@10", "trials of cfg_diffrec by ndcg@10", "curves of ndcg@10"]


def test_it_learns_the_genres_and_beats_popularity(finished: Path) -> None:
    told = summary(finished)
    assert told["test"]["recall_at_20"]["mean"] > 1.5 * told["popularity"]["recall_at_20"]


def test_the_registered_model_works_where_only_unblur_is_installed(finished: Path, tmp_path: Path) -> None:
    script = f"""
import mlflow
mlflow.set_tracking_uri("sqlite:///{finished}/mlflow.db")
model = mlflow.pyfunc.load_model("models:/unblur-plays@champion")
print(model.predict([["t1", "t2", "t3"], ["t31"]], params={{"k": 5}}))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, second = eval(done.stdout.strip().splitlines()[-1])
    assert len(first) == len(second) == 5
    assert not {"t1", "t2", "t3"} & set(first)


def test_the_end_says_what_was_found_and_its_commands_can_be_pasted(finished: Path) -> None:
    told, values = (finished / "told.txt").read_text(), summary(finished)
    assert re.search(
        r"^significantly ahead of popularity \(0\.\d+\): \+0\.\d+, .* p < 0.001 over 300 users$", told, re.M
    )
    steps = [shlex.split(line) for line in re.findall(r"^  (\S*unblur .*)$", told, re.M)]
    assert [step[1] for step in steps] == ["report", "train", "recommend", "dashboard"]
    for _, job, *flags in steps[:-1]:  # a dashboard stays: tests/experiments/test_dashboards.py
        done = here(finished, job, *flags, *(["--dry-run"] if job == "train" else []))
        assert done.returncode == 0, done.stderr
    assert (finished / "report.html").exists() and (finished / "recommendations.csv").exists()
    best = yaml.safe_load((finished / "unblur-runs/studies/plays" / values["study"] / "best.yaml").read_text())
    assert best["lr"] == values["best"]["params"]["lr"] and best["dims"] == [16]
    assert best["guidance_scale"] in [each["guidance_scale"] for each in values["inference"]]


def test_nothing_of_ours_is_pickled(finished: Path) -> None:
    kept = [*(finished / "unblur-runs").rglob("*"), *(finished / "mlartifacts").rglob("*")]
    assert [path for path in kept if path.suffix in {".pkl", ".pickle", ".pt", ".pth"}] == []


def test_finished_it_does_nothing_and_tells_the_same(finished: Path, run_here: Run, flags: list[object]) -> None:
    before, told = runs(finished), summary(finished)
    (openings,) = (finished / "unblur-runs/data").glob("*/openings.jsonl")
    opened = openings.read_text()
    again = run_here(finished, "tune", *flags)
    assert again.returncode == 0, again.stderr
    for key in ("study", "best", "test", "trials", "mlflow"):
        assert summary(finished)[key] == told[key]
    assert sorted(runs(finished).run_id) == sorted(before.run_id)
    assert openings.read_text() == opened, "the test set stays locked"


def test_evaluate_tells_the_registered_models_figures(finished: Path, run_here: Run, data_flags: list[str]) -> None:
    done = run_here(finished, "evaluate", *data_flags, "--summary", "e.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((finished / "e.json").read_text())
    assert written["model"] == "models:/unblur-plays@champion"
    assert f"{written['model']} ({summary(finished)['model']}) on the test set" in done.stdout
    told = written["test"]["ndcg_at_10"]
    assert any(value == pytest.approx(told) for value in summary(finished)["test"]["ndcg_at_10"]["values"])


def test_the_report_tells_the_studys_figures(finished: Path, run_here: Run) -> None:
    done = run_here(finished, "report", "--dataset", "plays", "--output", "report.html", "--markdown", "report.md")
    assert done.returncode == 0, done.stderr
    assert f"{summary(finished)['test']['ndcg_at_10']['mean']:.4f}" in (finished / "report.md").read_text()


def test_more_trials_are_added_and_old_ones_stay(finished: Path, run_here: Run, flags: list[object]) -> None:
    old = summary(finished)
    more = run_here(finished, "tune", *flags, "--trials", TRIALS + 1)
    assert more.returncode == 0, more.stderr
    assert sum(summary(finished)["trials"].values()) == TRIALS + 1
    assert summary(finished)["study"] == old["study"]
    assert (runs(finished)["tags.unblur.kind"] == "trial").sum() == TRIALS + 1


@pytest.mark.slow
def test_kill_9_in_the_middle_and_the_same_command_again(tmp_path: Path, run: Run, flags: list[object]) -> None:
    database = tmp_path / "unblur-runs" / "study.db"
    with subprocess.Popen(command("tune", *flags), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as driver:
        while finished_trials(database) < 2:
            assert driver.poll() is None, "it ended before it could be killed"
            time.sleep(0.1)
        driver.send_signal(signal.SIGKILL)
    before = finished_records(database)
    done = run(tmp_path, "tune", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished_records(database)
    assert len(after) == TRIALS and {key: after[key] for key in before} == before
    found = runs(tmp_path)
    trials = found[found["tags.unblur.kind"] == "trial"]
    assert sorted(map(int, trials["tags.unblur.number"])) == list(range(TRIALS))
    assert (found["tags.unblur.kind"] == "study").sum() == 1


@pytest.mark.slow
def test_a_sample_prunes_and_everyone_decides(tmp_path: Path, run: Run, flags: list[object]) -> None:
    sampled = ["--trials", 2, "--seeds", 1, "--validation-users", 40, "--trainer", "ray"]
    done = run(tmp_path, "tune", *flags, *sampled)
    assert done.returncode == 0, done.stdout + done.stderr
    best, found, name = summary(tmp_path)["best"], runs(tmp_path), "valid/best_ndcg_at_10"
    recorded = finished_records(tmp_path / "unblur-runs" / "study.db")
    assert best["valid"] == recorded[best["number"]][2] == max(record[2] for record in recorded.values())
    for _, each in found[found["tags.unblur.kind"] == "trial"].iterrows():
        assert each[f"metrics.{name}"] == pytest.approx(recorded[int(each["tags.unblur.number"])][2])
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    told = {kind: len(client.get_metric_history(run_id, name)) for kind, run_id in kinds(found)}
    assert told == {"trial": 1, "final": 3}, "each evaluation of a final run is of everyone"


def kinds(found: pd.DataFrame) -> list[tuple[str, str]]:
    return [(row["tags.unblur.kind"], row.run_id) for _, row in found.iterrows() if row["tags.unblur.kind"] != "study"]


def finished_trials(database: Path) -> int:
    """As many as are finished; read without Optuna, which would make tables that are not there yet."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            states = reader.execute("SELECT state FROM trials").fetchall()
    except sqlite3.OperationalError:
        return 0  # the database is only being made
    return sum(state in ("COMPLETE", "PRUNED", "FAIL") for (state,) in states)


def finished_records(database: Path) -> dict[int, tuple[Any, ...]]:
    """Of each finished trial what must never change."""
    names = optuna.get_all_study_names(f"sqlite:///{database}")
    trials = optuna.load_study(study_name=names[0], storage=f"sqlite:///{database}").trials
    return {
        t.number: (t.state, tuple(t.params.items()), t.value, t.datetime_complete)
        for t in trials
        if t.state.is_finished()
    }
