"""`--validation-users`: trials are pruned by a sample of users and worth what all users say."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.helpers.toy_study import identity, trials

from unblur.errors import UserError
from unblur.experiments.options import SearchOptions
from unblur.experiments.progress import Progress as Table
from unblur.experiments.recording import as_record
from unblur.reporting.loading import _trial
from unblur.running.scheduler import TrialScheduler
from unblur.running.work import Listener
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.tracking.reader import Found
from unblur.training.report import Finished, Progress

SAMPLED = [Progress(epoch, {"ndcg_at_10": 0.1 * epoch}) for epoch in (1, 2, 3)]
FINAL = Progress(3, best=0.22)


class Ear(Listener):
    def __init__(self) -> None:
        self.heard: list[Progress] = []

    def progressed(self, number: int, progress: Progress) -> None:
        self.heard.append(progress)


def searched(study: Study, reports: list[Progress], *listeners: Any) -> None:
    scheduler = TrialScheduler(trials(study, 1), 1, listeners)
    assignment = scheduler.next()
    assert assignment is not None
    for report in [*reports, Finished()]:
        assert not scheduler.report(assignment.number, report)


def test_a_trial_is_worth_its_last_word_and_keeps_the_samples_values(tmp_path: Path) -> None:
    study, ear = Study.open(identity(validation_users=5), local_url(tmp_path)), Ear()
    file = io.StringIO()
    with Table(Console(file=file, width=120), 1, "ndcg@10", "ndcg_at_10") as progress:
        searched(study, [*SAMPLED, FINAL], ear, progress)
    record = study.best()
    assert record is not None and record.value == 0.22
    assert record.values == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
    assert ear.heard[-1] == FINAL and len(ear.heard) == 4
    assert file.getvalue().splitlines()[-1].startswith("trial 0: complete  best 0.2200")
    again = Console(file=(shown := io.StringIO()), width=120)
    again.print(Table(again, 1, "ndcg@10", "ndcg_at_10", study.records()))
    assert "best: trial 0, ndcg@10 0.2200" in shown.getvalue()


def test_mlflow_and_the_report_take_the_value_for_the_trials(tmp_path: Path) -> None:
    study = Study.open(identity(validation_users=5), local_url(tmp_path))
    searched(study, [*SAMPLED, FINAL])
    metrics = as_record(study.records()[0], "ndcg_at_10").metrics
    assert metrics[3] == pytest.approx({"valid/ndcg_at_10": 0.3, "valid/best_ndcg_at_10": 0.22})
    run = Found("id", "trial 0000", "FINISHED", 0.0, 1.0, {}, metrics[3], {"unblur.number": "0"}, "toys", {})
    assert _trial(run, {1: 0.1, 2: 0.2, 3: 0.3}, "ndcg_at_10").value == 0.22


def test_without_it_the_best_report_counts(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    told = [replace(each, best=each.metrics["ndcg_at_10"]) for each in SAMPLED]
    searched(study, [*told, Progress(4, {"ndcg_at_10": 0.1}, best=0.3)])
    assert study.records()[0].value == pytest.approx(0.3)


def test_another_sample_is_another_study() -> None:
    hashes = {identity(validation_users=users).hash for users in (None, 100, 200)}
    assert len(hashes) == 3
    assert "validation_users" not in identity().model_dump_json(), "studies without one keep their names"


@pytest.mark.parametrize("users", [0, -5])
def test_no_sample_is_empty(users: int) -> None:
    with pytest.raises(UserError, match=r"--validation-users = .*: Input should be greater than or equal to 1"):
        SearchOptions(validation_users=users)
