"""Results of experiments: their statistics, and what is shown of several models."""

import io
import shlex
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from scipy import stats
from tests.helpers.synthetic import communities

from unblur.data.request import DataRequest
from unblur.data.store import Facts
from unblur.errors import RunFailed
from unblur.experiments.display import show_comparison, show_study, to_look
from unblur.experiments.final_evaluation import FinalResult
from unblur.experiments.next_steps import next_steps
from unblur.experiments.options import DashboardOptions, SearchOptions, TrainOptions
from unblur.experiments.prepared import PreparedData
from unblur.experiments.results import Best, ComparisonResult, SeedValues, StudyResult
from unblur.training.record import State

SPLIT = communities()
FACTS = Facts(users=60, items=20, train=1, valid=1, test=1, has_order=True, has_ratings=False, source_digest="")


def study(model: str, values: list[float]) -> StudyResult:
    data: Any = PreparedData(DataRequest(dataset="sample"), SPLIT, FACTS, None, "train")  # type: ignore[arg-type]
    final = FinalResult({"ndcg_at_10": values}, [0.1] * len(values), {"ndcg_at_10": 0.01}, None)
    best, trials = Best(0, {"lr": 0.1}, 0.1, False), {State.COMPLETE: 2}
    seconds = {"search": 1.0, "final": 2.0, "total": 3.0}
    return StudyResult("s", model, "ndcg@10", data, trials, best, final, 1, "sqlite:///x", "1", "run", seconds)


@pytest.mark.parametrize(
    ("spread", "said"), [([], ["0.0300", "0.0200"]), ([0.001, -0.001], ["0.0300 ± 0.0010", "0.0200 ± 0.0010"])]
)
def test_the_best_comes_first_and_one_seed_has_no_spread(spread: list[float], said: list[str]) -> None:
    studies = {
        name: study(name, [mean, *(mean + each for each in spread)])
        for name, mean in (("ease", 0.02), ("diffrec", 0.03))
    }
    shown = io.StringIO()
    show_comparison(ComparisonResult(studies, {}), SearchOptions(), Console(file=shown, width=120))
    rows = [line for line in shown.getvalue().splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == ["diffrec", "ease"]
    assert [row.split("│")[4].strip() for row in rows] == said


VIEWS = {"models": "/#/experiments/1"}


def test_a_server_has_the_views_and_a_database_is_opened_by_the_dashboard() -> None:
    there = replace(study("ease", [0.1]), tracking_uri="http://mlflow:5000/", views=VIEWS)
    assert to_look(there) == ["models: http://mlflow:5000/#/experiments/1"]
    assert not [step for step in next_steps(there, SearchOptions()) if "dashboard" in step]
    here, flags = replace(there, tracking_uri="sqlite:////a/m.db"), {"tracking_uri": "sqlite:////a/m.db"}
    assert to_look(here) == []  # it says them itself, on the port that it finds free
    assert next_steps(here, SearchOptions())[-1].endswith("unblur dashboard")
    searched = SearchOptions(**flags, storage="runs", study_url="postgresql://db/s", trials=3)
    told = shlex.split(next_steps(here, searched)[-1])
    assert told[1] == "dashboard" and told.count("--tracking-uri") == 1
    found = DashboardOptions(**dict(zip((w[2:].replace("-", "_") for w in told[2::2]), told[3::2], strict=True)))
    assert (found.tracking_uri, found.storage) == (flags["tracking_uri"], "runs")
    assert found.study_url == "postgresql://db/s"
    trained = next_steps(here, TrainOptions(**flags))[-1]  # without a search there is no database of studies to name
    assert trained.endswith("dashboard --tracking-uri sqlite:////a/m.db")


@pytest.mark.parametrize(("model", "again"), [("ease", False), ("diffrec", True)])
def test_more_seeds_are_proposed_where_they_would_differ(model: str, again: bool) -> None:
    steps = next_steps(study(model, [0.1]), SearchOptions())
    assert any(" train " in step for step in steps) == again


def told(result: StudyResult) -> str:
    show_study(result, SearchOptions(), Console(file=(shown := io.StringIO()), width=200))
    return shown.getvalue()


def test_the_end_says_what_became_of_the_model_and_what_a_starting_configuration_means() -> None:
    searched = study("ease", [0.1])
    assert "registered" not in told(searched) and "starting configurations" not in told(searched)
    final = replace(searched.final, model_uri="models:/unblur-sample/1", champion="it does not become the champion: x")
    said = told(replace(searched, final=final, best=replace(searched.best, enqueued=True)))
    assert "registered models:/unblur-sample/1: it does not become the champion: x" in said
    assert "trial 0 is one of the space's own starting configurations: the search has found nothing better" in said


def test_the_interval_is_students() -> None:
    values = SeedValues((0.1, 0.2, 0.4))
    assert values.interval == pytest.approx(stats.t.interval(0.95, 2, values.mean, stats.sem(values.values)))
    assert SeedValues((0.1,)).interval is None and SeedValues((0.1,)).std is None


def test_a_summary_is_json_with_all_seeds() -> None:
    found = study("ease", [0.1, 0.2]).summary()
    assert found["test"]["ndcg_at_10"]["values"] == [0.1, 0.2] and found["trials"] == {"complete": 2}
    assert found["best"] == {"number": 0, "params": {"lr": 0.1}, "valid": 0.1, "enqueued": False}


def test_a_model_that_failed_is_named() -> None:
    with pytest.raises(RunFailed, match="slim: no trial was completed"):
        ComparisonResult({"ease": study("ease", [0.1])}, {"slim": "no trial was completed"}).check()
