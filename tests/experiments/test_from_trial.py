"""`unblur train --from-trial`: what a search tried is trained again, whether or not it was chosen."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.helpers import made_studies
from tests.helpers.made_studies import Made, trial_params, write_study
from tests.helpers.mlflow_store import empty_store

from unblur.data.request import DataRequest
from unblur.documents import configured
from unblur.errors import UserError
from unblur.experiments.context import SILENT
from unblur.experiments.from_trial import of_trial
from unblur.experiments.options import TrainOptions
from unblur.experiments.train import train
from unblur.models import config_class
from unblur.tracking.client import Store
from unblur.tracking.tracker import Tracker

TOYS = DataRequest(dataset="amazon_toys")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return empty_store(tmp_path)


def test_a_trial_that_was_not_chosen_becomes_a_configuration(store: Store, tmp_path: Path) -> None:
    for trials in (3, 2):
        write_study(store, Made("cfg_diffrec", 0.1, trials), tmp_path)
    write_study(store, Made("ease", 0.1), tmp_path)  # newer, and of another model
    write_study(store, Made("cfg_diffrec", 0.1, trials=0), tmp_path)  # newer, and no search
    console = Console(record=True, width=200)
    assigned = of_trial(1, "cfg_diffrec", TOYS, store.uri, console)
    assert "trial 1 of toys cfg_diffrec" in console.export_text()
    config = configured(config_class("cfg_diffrec"), assigned, None)
    wanted = trial_params(1)
    assert {name: json.loads(config.model_dump_json())[name] for name in wanted} == wanted
    changed = configured(config_class("cfg_diffrec"), [*assigned, "lr=0.5"], None)
    assert changed.model_dump() == config.model_dump() | {"lr": 0.5}, "--set comes after it, and wins"
    with pytest.raises(UserError, match=r"--from-trial 2: the newest search of cfg_diffrec .* has those up to 1"):
        of_trial(2, "cfg_diffrec", TOYS, store.uri, SILENT)


def test_what_the_sweep_chose_belongs_to_the_trial(store: Store) -> None:
    tracker = Tracker(store, "amazon_toys/clean")
    tags = {"unblur.model": "cfg_diffrec", "unblur.purpose": "search"}
    tracker.open_study("s", "toys", tags, {}, made_studies.TOYS)
    tracker.start("trial", 0, {"lr": 0.5})
    tracker.note("trial", 0, {"unblur.inference": json.dumps({"guidance_scale": 3.0})})
    assert tracker.close() is None
    assert of_trial(0, "cfg_diffrec", TOYS, store.uri, SILENT) == ["lr=0.5", "guidance_scale=3.0"]


def test_slips_are_told(store: Store, tmp_path: Path) -> None:
    write_study(store, Made("cfg_diffrec", 0.1), tmp_path)
    with pytest.raises(UserError, match=r"no search of ease in amazon_toys/clean; unblur tune makes one"):
        of_trial(0, "ease", TOYS, store.uri, SILENT)
    with pytest.raises(UserError, match=r"both --config and --from-trial"):
        train(TrainOptions(config=tmp_path / "best.yaml", from_trial=1))
