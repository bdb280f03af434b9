"""The saved views that MLflow's pages have of an experiment: its own format, each once, people's changes kept."""

import json
import zlib
from base64 import b64decode, b64encode
from typing import Any

import pytest

from unblur.tracking import views
from unblur.tracking.client import Store
from unblur.tracking.views import View

TAG = "mlflow.sharedViewState."


def trials(**searched: bool) -> View:
    return views.of_trials("ndcg_at_10", "ease", searched, ["guidance_scale"])


@pytest.fixture
def experiment(store: Store) -> str:
    return store.experiment("toys/clean")


def saved(store: Store, experiment: str) -> dict[str, dict[str, Any]]:
    """What MLflow's page reads: name and times of each envelope, and its state inflated, by id."""
    found = {}
    for key, value in store.client.get_experiment(experiment).tags.items():
        if key.startswith(TAG):
            envelope = json.loads(value)
            assert isinstance(envelope["createdAt"], int) and envelope["state"].startswith("deflate;")
            state = json.loads(zlib.decompress(b64decode(envelope["state"].removeprefix("deflate;"))))
            found[key.removeprefix(TAG)] = {"name": envelope["name"], **state}
    return found


def test_a_view_is_as_mlflow_saves_one(store: Store, experiment: str) -> None:
    view = trials(l2=True)
    views.save(store, experiment, [view])
    (state,) = saved(store, experiment).values()
    assert state["name"] == "trials of ease by ndcg@10"
    assert state["searchFilter"] == "tags.`unblur.kind` = 'trial' and tags.`unblur.model` = 'ease'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`valid/best_ndcg_at_10`", False)
    assert {"params.`l2`", "metrics.`inference/guidance_scale`", "tags.`unblur.state`"} <= set(state["selectedColumns"])
    assert view.path("7") == f"/#/experiments/7/runs?viewStateShareKey={view.id}"


def test_its_filter_and_order_are_a_search_that_mlflow_takes(store: Store, experiment: str) -> None:
    run = store.client.create_run(experiment, tags={"unblur.kind": "trial", "unblur.model": "ease"})
    for kind, model in (("trial", "slim"), ("study", "ease")):
        store.client.create_run(experiment, tags={"unblur.kind": kind, "unblur.model": model})
    state = trials(l2=True).state
    found = store.client.search_runs([experiment], state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert [each.info.run_id for each in found] == [run.info.run_id]


def test_starts_make_no_more_views(store: Store, experiment: str) -> None:
    for _ in range(2):
        views.save(store, experiment, [*views.of_experiment("ndcg_at_10"), trials(l2=True)])
        tags = dict(store.client.get_experiment(experiment).tags)
        views.save(store, experiment, [*views.of_experiment("ndcg_at_10"), trials(l2=True)])
        assert store.client.get_experiment(experiment).tags == tags, "not even its time"
    assert len(saved(store, experiment)) == 3


def test_another_space_adds_its_columns_to_what_a_person_made_of_the_view(store: Store, experiment: str) -> None:
    view = trials(l2=True)
    views.save(store, experiment, [view])
    state = {"orderByKey": "mine", "selectedColumns": ["params.`l2`"]}
    packed = "deflate;" + b64encode(zlib.compress(json.dumps(state).encode())).decode()
    changed = {"name": "as I like it", "createdAt": 1, "updatedAt": 2, "state": packed}
    store.client.set_experiment_tag(experiment, TAG + view.id, json.dumps(changed))
    views.save(store, experiment, [trials(l2=True, k=False)])
    found = saved(store, experiment)[view.id]
    assert found["orderByKey"] == "mine" and {"params.`l2`", "params.`k`"} <= set(found["selectedColumns"])


def test_a_parameter_that_some_trials_lack_hides_none_of_them(store: Store) -> None:
    """MLflow's chart leaves out every run that lacks one of its parameters."""
    charts = trials(l2=True, depth=False).state["compareRunCharts"]
    (parallel,) = [each for each in charts if each["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["l2"] and parallel["selectedMetrics"] == ["valid/best_ndcg_at_10"]


def test_a_damaged_view_is_made_anew(store: Store, experiment: str) -> None:
    view = trials(l2=True)
    store.client.set_experiment_tag(experiment, TAG + view.id, "{")
    views.save(store, experiment, [view])
    assert saved(store, experiment)[view.id]["searchFilter"]
