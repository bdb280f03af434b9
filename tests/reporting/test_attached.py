"""The report among the files of a study's run in MLflow."""

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.in_place import finished, flags, without_ray
from tests.helpers.jobs import data_flags, here, plays

from unblur.reporting import attached
from unblur.tracking.client import Store, connect

__all__ = ["data_flags", "finished", "flags", "plays", "without_ray"]


def parents(store: Store) -> list[Any]:
    experiment = store.client.get_experiment_by_name("plays/clean").experiment_id
    return list(store.client.search_runs([experiment], "tags.`unblur.kind` = 'study'"))


def page(store: Store, run: Any) -> str:
    return Path(store.client.download_artifacts(run.info.run_id, attached.FILE)).read_text(encoding="utf-8")


@pytest.mark.usefixtures("without_ray")
def test_each_study_has_the_report_as_it_stood_at_its_end(finished: Path, data_flags: list[str]) -> None:
    store = connect(f"sqlite:///{finished}/mlflow.db")
    (first,) = parents(store)
    text = page(store, first)
    assert "plays: which recommender is worth it?" in text and first.info.run_id in text
    assert "1 model;" in text
    done = here(finished, "tune", *data_flags, "--model", "popularity,item_knn", "--trials", 1, "--seeds", 1)
    assert done.returncode == 0
    later = [run for run in parents(store) if run.info.run_id != first.info.run_id]
    assert len(later) == 2 and all("3 models;" in page(store, run) for run in later)
    assert page(store, first) == text, "what was said at its end stays"


@pytest.mark.usefixtures("without_ray")
def test_a_report_that_cannot_be_made_costs_the_study_nothing(
    finished: Path, flags: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a figure that cannot be drawn")

    monkeypatch.setattr(attached, "build", fail)
    done = here(finished, "tune", *flags)
    assert done.returncode == 0
    assert "the report is not among the files of the run in MLflow: a figure that cannot be drawn" in done.stdout
