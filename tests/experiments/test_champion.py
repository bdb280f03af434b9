"""Who is the champion of a dataset: real models, a real registry, the validation set as the judge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.synthetic import communities

from unblur import models
from unblur.experiments.champion import challenge
from unblur.models.base import ClosedFormRecommender
from unblur.tracking.client import Store, connect
from unblur.tracking.registry import register
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker

SPLIT = communities()
ITEMS = [str(item) for item in SPLIT.items]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return connect(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def registered(store: Store, tmp_path: Path) -> Callable[..., str]:
    tracker = Tracker(store, "toys/clean")
    tracker.open_study("s1", "toys", {}, {}, LoggedDataset("toys", SPLIT.digest, {}))

    def registered(name: str, digest: str = SPLIT.digest, **params: Any) -> str:
        model = models.model_class(name)(models.configure(name, params, "test"), SPLIT.n_users, SPLIT.n_items)
        assert isinstance(model, ClosedFormRecommender)
        model.fit(SPLIT)
        folder = tmp_path / f"{name}-{len(params)}-{digest}"
        model.save(folder)
        tags = {"unblur.model": name, "unblur.dataset_digest": digest}
        return register(store, folder, "toys", ITEMS, tracker.parent_run_id, tags)

    return registered


def held(store: Store, uri: str) -> str:
    return challenge(store, uri, "toys", SPLIT, "ndcg_at_10")


def champion(store: Store) -> str:
    return f"models:/unblur-toys/{store.client.get_model_version_by_alias('unblur-toys', 'champion').version}"


def test_only_a_significantly_better_model_takes_the_title(store: Store, registered: Callable[..., str]) -> None:
    popular = registered("popularity")
    assert "first of this dataset" in held(store, popular) and champion(store) == popular
    ease = registered("ease")
    said = held(store, ease)
    assert "it is the champion: +" in said and "against the one before it, models:/unblur-toys/1 (popularity)" in said
    assert champion(store) == ease
    much_the_same = registered("ease", l2=3001.0)
    assert "does not become the champion" in (said := held(store, much_the_same)) and "not significant" in said
    worse = registered("popularity", recent_share=0.5)
    assert "significantly worse" in held(store, worse)
    assert champion(store) == ease


def test_a_decision_is_made_once(store: Store, registered: Callable[..., str]) -> None:
    popular = registered("popularity")
    said = held(store, popular)
    ease = registered("ease")
    held(store, ease)
    assert held(store, popular) == said and champion(store) == ease


def test_models_of_other_data_are_not_compared(store: Store, registered: Callable[..., str]) -> None:
    first = registered("popularity", digest="other data")
    held(store, first)
    assert "trained on other data" in held(store, registered("ease")) and champion(store) == first
