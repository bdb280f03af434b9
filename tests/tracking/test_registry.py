"""A registered model answers in a process that knows nothing but the registry and the installed package."""

import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.models.closed_form import popularity
from unblur.models.serving import ServedModel
from unblur.tracking.client import Store, connect
from unblur.tracking.model_package import requirements
from unblur.tracking.registry import champion_of, decide, load_registered, name_of, register
from unblur.tracking.tracker import Tracker

OpenTracker = Callable[..., Tracker]
ITEMS = ["a", "b", "c", "d", "e"]  # by falling popularity
PER_USER = {"ndcg_at_10": np.array([0.5, 0.25], dtype=np.float32)}
IMPORTED = """
import ast, sys
from pathlib import Path
from unblur import models
from unblur.tracking import pyfunc_model

for name in models.names():
    models.model_class(name)
for name, module in list(sys.modules.items()):
    if name.startswith("unblur"):
        for node in ast.parse(Path(module.__file__).read_text()).body:
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            print(*({each.partition(".")[0] for each in names} - {*sys.stdlib_module_names, "unblur"}))
"""
FRESH = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/unblur-toys@candidate")
import unblur; assert "mlartifacts" in unblur.__file__
print(json.dumps(model.predict([["a", "c"], ["b", "unheard"], []], params={"k": 2})))
print(json.dumps(model.predict([["a", "c"]], params={"k": 2, "exclude": ["b", "unheard"]})))
guided = mlflow.pyfunc.load_model("models:/unblur-guided@candidate")
scales = ({}, {"guidance_scale": 3}, {"guidance_scale": 9.0})
print(json.dumps([guided.predict([["a", "c"]], params=given) for given in scales]))
"""


def save_popularity(folder: Path, users: int = 5) -> Path:
    train = csr_matrix(np.tril(np.ones((users, len(ITEMS)), dtype=np.float32)))
    nothing = csr_matrix(train.shape, dtype=np.float32)
    ids = np.array([str(user) for user in range(users)])
    model = popularity.Model(popularity.Config(), users, len(ITEMS))
    model.fit(Dataset(train, nothing, None, None, ids, np.array(ITEMS), "digest"))
    model.save(folder)
    return folder


def save_guided(folder: Path) -> Path:
    config = models.configure("cfg_diffrec", {"dims": [4], "guidance_scale": 3.0}, "test")
    models.model_class("cfg_diffrec")(config, 5, len(ITEMS), seed=1).save(folder)
    return folder


def put(tracker: Tracker, folder: Path, dataset: str = "toys") -> str:
    tags = {"unblur.model": "popularity"}
    run = tracker.parent_run_id
    return register(tracker.store, folder, dataset, ITEMS, run, tags, lambda: PER_USER, 3, "popularity, seed 3")


def test_a_store_elsewhere_than_the_default_one(store: Store, open_tracker: OpenTracker, tmp_path: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/default.db")  # what a working directory of its own would mean
    try:
        uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
        assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path}/default.db"
    finally:
        mlflow.set_tracking_uri(None)
    assert load_registered(store, uri).items == ITEMS


def test_a_registered_model_answers_in_a_fresh_process(store: Store, open_tracker: OpenTracker, tmp_path: Path) -> None:
    uri = put(tracker := open_tracker(store), save_popularity(tmp_path / "saved"))
    assert uri == "models:/unblur-toys/1"
    put(tracker, save_guided(tmp_path / "guided"), "guided")
    (tmp_path / "elsewhere").mkdir()
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH, store.uri], cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=True
    )
    answers, without, (as_saved, three, nine) = map(json.loads, fresh.stdout.splitlines())
    assert answers == [["b", "d"], ["a", "c"], ["a", "b"]] and without == [["d", "e"]]
    mine = ServedModel(models.load(tmp_path / "guided"), ITEMS)
    assert as_saved == three == mine.recommend([["a", "c"]]) and nine == mine.recommend([["a", "c"]], guidance_scale=9)
    assert "ignored 1 item ids that are not in the catalogue: unheard" in fresh.stderr
    assert load_registered(store, uri).items == ITEMS  # MLflow and Python have written into the folder


def test_what_is_registered_is_code_and_safetensors(store: Store, open_tracker: OpenTracker, tmp_path: Path) -> None:
    tracker = open_tracker(store)
    put(tracker, save_popularity(tmp_path / "saved"))
    files = {path.name for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()}
    assert {"pyfunc_model.py", "weights.safetensors", "config.json", "items.json", "MLmodel"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt"))]
    version = store.client.get_model_version_by_alias("unblur-toys", "candidate")
    assert version.run_id == tracker.parent_run_id
    assert version.tags["unblur.study"] == "s1" and version.tags["unblur.model"] == "popularity"
    described = next((tmp_path / "mlartifacts").rglob("MLmodel")).read_text()
    assert '"name": "k", "default": 10' in described and "guidance_scale" not in described and "exclude" in described
    assert "saved_input_example_info" in described
    asked = {line.partition("==")[0] for line in next((tmp_path / "mlartifacts").rglob("requirements.txt")).open()}
    assert "torch" in asked and not asked & {"unblur", "ray", "optuna"}


def test_a_version_has_the_metrics_of_its_own_final_run(
    store: Store, open_tracker: OpenTracker, tmp_path: Path
) -> None:
    tracker = open_tracker(store)
    for number, value in ((2, 0.1), (3, 0.3)):
        tracker.log("final", number, 0, {"test/ndcg_at_10": value})
    tracker.finish({}, {"test/ndcg_at_10": [0.1, 0.3]})
    tracker.flush(60)
    put(tracker, save_popularity(tmp_path / "saved"))
    version = store.client.get_model_version_by_alias("unblur-toys", "candidate")
    assert version.description == "popularity, seed 3"
    (metric,) = store.client.get_logged_model(version.source.removeprefix("models:/")).metrics
    assert (metric.key, metric.value, metric.dataset_name) == ("test/ndcg_at_10", 0.3, "toys")
    assert store.client.get_run(tracker.parent_run_id).data.metrics["test/ndcg_at_10"] == pytest.approx(0.2)
    assert len(store.client.get_metric_history(metric.run_id, "test/ndcg_at_10")) == 1, "as before"


def test_a_study_registers_a_model_once(store: Store, open_tracker: OpenTracker, tmp_path: Path) -> None:
    first, better = save_popularity(tmp_path / "first"), save_popularity(tmp_path / "better", users=4)
    tracker = open_tracker(store)
    assert put(tracker, first) == put(tracker, first) == "models:/unblur-toys/1"
    assert put(tracker, better) == "models:/unblur-toys/2"
    assert put(tracker, first) == "models:/unblur-toys/1"
    assert store.client.get_model_version_by_alias("unblur-toys", "candidate").version == 2
    assert put(open_tracker(store, "s2"), first) == "models:/unblur-toys/3"


def test_a_registered_model_is_fetched_without_running_it(
    store: Store, open_tracker: OpenTracker, tmp_path: Path
) -> None:
    uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
    decide(store, uri, "the first", crowned=True)
    for reference in ("toys", uri, "models:/unblur-toys@candidate", "models:/unblur-toys@champion"):
        fetched = load_registered(store, reference)
        assert fetched.items == ITEMS and fetched.tags["unblur.dataset"] == "toys"
        assert isinstance(models.load(fetched.folder), popularity.Model)


@pytest.mark.parametrize("model", ["yelp", "models:/unblur-toys/9", "models:/unblur-toys@champion", "models:/m-12"])
def test_an_unknown_model_is_named(store: Store, model: str) -> None:
    with pytest.raises(UserError, match=r"models:/.*registered model|registered model models:/"):
        load_registered(store, model)


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "items.json", "popularity.py", "pyfunc_model.py", "validation.npz"]
)
def test_a_changed_model_is_refused(store: Store, open_tracker: OpenTracker, tmp_path: Path, name: str) -> None:
    uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
    file = next((tmp_path / "mlartifacts").rglob(name))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match="not those that were registered"):
        load_registered(store, uri)


@pytest.mark.parametrize("where", ["here", "on a server"])
def test_a_champion_whose_files_are_gone_is_named_with_the_way_out(
    where: str, request: pytest.FixtureRequest, open_tracker: OpenTracker, tmp_path: Path
) -> None:
    local = where == "here"
    store = request.getfixturevalue("store") if local else connect(request.getfixturevalue("server").uri)
    uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
    decide(store, uri, "the first", crowned=True)
    package = next(tmp_path.rglob("MLmodel")).parent
    package.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"models:/unblur-toys/1 \(popularity\): its files are not at") as lost:
        load_registered(store, "toys")
    assert not package.exists(), "nothing is made anew where they were"
    if local:
        assert f"ln -s NEW {package}" in str(lost.value)
        package.symlink_to(tmp_path / "moved")
        assert load_registered(store, "toys").items == ITEMS
    champion = champion_of(store, "toys")
    assert champion and champion.uri == uri and champion.tags["unblur.model"] == "popularity", (
        "it is known all the same"
    )
    *_, code = shlex.split(str(lost.value).rpartition(": ")[2])
    exec(code)  # as a person would paste it
    assert champion_of(store, "toys") is None


def test_scoring_needs_no_library_but_those_that_are_pinned() -> None:
    asked = {line.partition("==")[0].replace("scikit-learn", "sklearn") for line in requirements()}
    found = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True).stdout
    assert {"torch", "numpy", "scipy"} <= set(found.split()) <= asked | {"pydantic_core"}  # which pydantic brings


def test_through_a_server(server: Any, open_tracker: OpenTracker, tmp_path: Path) -> None:
    store = connect(server.uri)
    uri = put(open_tracker(store), save_popularity(tmp_path / "saved"))
    assert load_registered(store, uri).items == ITEMS
    assert not (tmp_path / "mlflow.db").exists()


def test_names() -> None:
    assert name_of("amazon_toys") == "unblur-amazon_toys" and name_of("data/my file.csv") == "unblur-data_my_file.csv"


def test_the_order_of_a_history_reaches_the_model(caplog: pytest.LogCaptureFixture) -> None:
    served = ServedModel(popularity.Model(popularity.Config(), 1, len(ITEMS)), ITEMS)
    with caplog.at_level(logging.WARNING):
        history = served.history([["d", "a", "x", "d", "b"], [], ["c"]])
    assert history.matrix.indptr.tolist() == [0, 3, 3, 4]
    assert history.matrix.indices.tolist() == [0, 1, 3, 2]
    assert history.rank is not None and history.rank.tolist() == [1, 2, 0, 0]
    assert history.sequences(4)[0].tolist() == [[3, 0, 3, 1], [5, 5, 5, 5], [5, 5, 5, 2]]
    assert "ignored 1 item ids that are not in the catalogue: x" in caplog.text
    assert served.recommend([]) == []
    with pytest.raises(UserError, match="k = 0, expected a number of items from 1 on"):
        served.recommend([["a"]], k=0)
