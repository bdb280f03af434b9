"""The one look at the test set: each retrained model is tested once, and the answer is kept."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from scipy.sparse import csr_matrix

from unblur import models
from unblur.data.dataset import Dataset
from unblur.data.request import HistoryName
from unblur.data.test_set import TestSet
from unblur.evaluation.popularity_groups import recall_by_popularity
from unblur.evaluation.ranking import Evaluation, final
from unblur.files import download, read_json, under, upload, write_json
from unblur.models import trained_on
from unblur.running.resources import Resources
from unblur.training.memory import take_share
from unblur.training.workers import on_best_device

METRICS, PER_USER = "metrics.json", "per_user.parquet"


def tested(model: str, history: HistoryName) -> bool:
    """Whether the retrain in the folder `model` has had its one test; the test set stays locked."""
    return read_json(under(_results(model, history), METRICS)) is not None


def _results(model: str, history: HistoryName) -> str:
    return under(model, f"test-{history}")


def results_on_test(model: str, data: TestSet, resources: Resources, per_user: Path) -> dict[str, float]:
    """Every metric on the test set of the retrain in the folder `model`: tested now or earlier, but once.

    With them comes recall by item popularity. The test runs where
    a training would (on a GPU if those do). `per_user` gets the users' own results (Parquet).
    """
    home = _results(model, data.history)
    if not tested(model, data.history):
        remote = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(_evaluate)
        metrics, table = ray.get(remote.remote(under(model, "model"), data, resources.gpus))
        upload(lambda folder: table.to_parquet(folder / PER_USER, index=False), home)
        write_json(under(home, METRICS), metrics)  # last: who finds it finds the table too
    per_user.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as fetched:
        shutil.copy(download(home, Path(fetched)) / PER_USER, per_user)
    return read_json(under(home, METRICS)) or {}


def evaluate_folder(folder: Path, dataset: Dataset, test: csr_matrix, history: HistoryName) -> Evaluation:
    """The final evaluation of a saved model, on the GPU when there is one."""
    return final(on_best_device(trained_on.load(folder, dataset)), dataset, test, history)


def popularity(dataset: Dataset, test: csr_matrix, history: HistoryName) -> dict[str, float]:
    """What recommending the most popular items scores on the test set: the least that a model must beat."""
    model: Any = models.model_class("popularity")(
        models.configure("popularity", {}, "popularity"), dataset.n_users, dataset.n_items
    )
    model.fit(dataset)
    return final(model, dataset, test, history).metrics()


def _evaluate(folder: str, data: TestSet, gpus: float) -> tuple[dict[str, float], pd.DataFrame]:
    take_share(gpus)
    with tempfile.TemporaryDirectory() as scratch:
        evaluation = evaluate_folder(download(folder, Path(scratch)), data.dataset, data.test, data.history)
    columns: dict[str, Any] = {
        "user": data.dataset.users[evaluation.users],
        "n_relevant": evaluation.n_relevant,
        "n_history": np.diff(data.dataset.history(data.history == "train+valid").matrix.indptr)[evaluation.users],
        **{name: values.astype(np.float32) for name, values in evaluation.per_user().items()},
    }
    by_popularity = recall_by_popularity(evaluation.items, data.test[evaluation.users], evaluation.counts)
    return {**evaluation.metrics(), **by_popularity}, pd.DataFrame(columns)
