"""The winner trained once more on everything: on what, for how long, and what may be said of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.helpers.in_place import engine, finished, flags
from tests.helpers.jobs import data_flags, here, plays

from unblur import models
from unblur.data import openings
from unblur.data.prepared_folder import folder_of
from unblur.data.store import load_dataset
from unblur.data.test_set import TestSet
from unblur.tracking.client import connect
from unblur.tracking.registry import load_registered

__all__ = ["data_flags", "finished", "flags", "plays"]
WHOLE = "models:/unblur-plays@refit"


@pytest.fixture(scope="module")
def refitted(finished: Path, data_flags: list[str]) -> Iterator[tuple[Path, str]]:
    """The folder of the study with the winner's refit, and what was told of it."""
    with engine():
        done = here(finished, "refit", *data_flags)
    assert done.returncode == 0, done.stdout + done.stderr
    yield finished, done.stdout


def digest(folder: Path) -> str:
    return str(json.loads((folder / "s.json").read_text())["dataset"]["digest"])


def whole_data(folder: Path) -> Any:
    storage = folder / "unblur-runs"
    return TestSet.open("a test", storage, load_dataset(folder_of(storage, digest(folder)))).everything()


def test_everything_is_each_users_whole_history_in_its_order(refitted: tuple[Path, str], plays: Path) -> None:
    data, raw = whole_data(refitted[0]), pd.read_csv(plays).sort_values("played_at")
    found = data.history().in_order()
    items = np.array(data.items)
    for row, user in enumerate(data.users):
        expected = raw[raw["listener"] == user]["track"].tolist()
        assert items[found.items[found.starts[row] : found.ends[row]]].tolist() == expected
    assert data.train.nnz == len(raw) == 3600 and data.valid.nnz == 0 and (data.train.data == 1).all()


def test_it_is_the_winners_configuration_fitted_to_everything(refitted: tuple[Path, str]) -> None:
    folder, told = refitted
    store = connect(f"sqlite:///{folder}/mlflow.db")
    winner, whole = (load_registered(store, each) for each in ("plays", WHOLE))
    params = json.loads(winner.tags["unblur.params"])
    assert whole.tags["unblur.params"] == winner.tags["unblur.params"] and whole.run_id == winner.run_id
    data = whole_data(folder)
    model: Any = models.model_class("ease")(models.configure("ease", params, "test"), data.n_users, data.n_items)
    model.fit(data)
    history, users = data.history(), np.arange(data.n_users)
    np.testing.assert_allclose(
        models.load(whole.folder).score(history, users).numpy(), model.score(history, users).numpy(), rtol=1e-5
    )
    assert "trained on all data, at once; nothing is tested" in told
    assert "registered models:/unblur-plays/2 as refit: ease on all 3,600 interactions; no figure is of it" in told


def test_it_takes_no_alias_of_a_tested_model_and_has_no_metric(refitted: tuple[Path, str]) -> None:
    client = connect(f"sqlite:///{refitted[0]}/mlflow.db").client
    aliases = client.get_registered_model("unblur-plays").aliases
    assert {name: int(version) for name, version in aliases.items()} == {"candidate": 1, "champion": 1, "refit": 2}
    version = client.get_model_version("unblur-plays", "2")
    assert version.tags["unblur.refitted_from"] == "models:/unblur-plays/1"
    assert "Nothing of it was tested" in version.description
    logged = client.get_logged_model(version.source.removeprefix("models:/"))
    assert not logged.metrics


def test_done_once_it_is_not_done_again(refitted: tuple[Path, str], data_flags: list[str]) -> None:
    folder = refitted[0]
    data = folder_of(folder / "unblur-runs", digest(folder))
    before = openings.reasons(data)
    assert before["refit of models:/unblur-plays/1: trained on it, nothing tested"] == 1
    again = here(folder, "refit", *data_flags)
    assert again.returncode == 0 and "registered models:/unblur-plays/2 as refit" in again.stdout
    assert openings.reasons(data) == before


def test_it_cannot_be_tested(refitted: tuple[Path, str], data_flags: list[str]) -> None:
    done = here(refitted[0], "evaluate", *data_flags, "--model", WHOLE)
    assert done.returncode == 2 and "nothing is left to test it on; name the model" in " ".join(done.stderr.split())


def test_it_recommends_what_a_user_has_in_no_part(
    refitted: tuple[Path, str], data_flags: list[str], plays: Path
) -> None:
    folder = refitted[0]
    done = here(folder, "recommend", *data_flags, "--model", WHOLE, "--k", 18, "--output", "all.csv")
    assert done.returncode == 0, done.stderr
    given = pd.read_csv(folder / "all.csv")
    had = pd.read_csv(plays).rename(columns={"listener": "user", "track": "item"})
    assert given.merge(had, on=["user", "item"]).empty and given.groupby("user").size().eq(18).all()


def test_a_model_that_does_not_say_its_epochs_is_refused(refitted: tuple[Path, str], data_flags: list[str]) -> None:
    folder = refitted[0]
    client = connect(f"sqlite:///{folder}/mlflow.db").client
    epochs = client.get_model_version("unblur-plays", "1").tags["unblur.epochs"]
    client.delete_model_version_tag("unblur-plays", "1", "unblur.epochs")
    done = here(folder, "refit", *data_flags)
    client.set_model_version_tag("unblur-plays", "1", "unblur.epochs", epochs)
    assert done.returncode == 2 and "does not say for how many epochs it was trained" in " ".join(done.stderr.split())
