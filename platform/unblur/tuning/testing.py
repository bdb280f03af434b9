"""The one look at the test set: each retrained model is tested once, and the answer is kept."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import ray
from scipy.sparse import csr_matrix

from unblur import models
from unblur.data.split import Split
from unblur.evaluation.ranking import Evaluation, final
from unblur.models.base import TrainableRecommender
from unblur.training.distributed import Resources
from unblur.training.task import download, read, write
from unblur.training.workers import best_device

HistoryName = Literal["train", "train+valid"]
TESTED = "test.json"
PER_USER = "per_user.parquet"


@dataclass(frozen=True)
class Locked:
    """The data of the final evaluation, in the object store; only this module is given the test part."""

    split: "ray.ObjectRef"
    test: "ray.ObjectRef"
    history: HistoryName


def test_once(home: str, data: Locked, resources: Resources, local: Path) -> dict[str, float]:
    """Every metric of the model in `<home>/model` on the test set; a model that was tested before is not again.

    The test runs where a training would (on a GPU if those do). Per-user results go to `local`.
    """
    name = f"test-{data.history}.json" if data.history != "train" else TESTED
    known = read(home, name)
    if known is None or not (local / PER_USER).exists():
        remote = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(_evaluate)
        metrics, per_user = ray.get(remote.remote(f"{home}/model", [data.split], [data.test], data.history))
        local.mkdir(parents=True, exist_ok=True)
        per_user.to_parquet(local / PER_USER, index=False)
        if known is None:
            write(home, name, metrics)
            known = metrics
    return known


def evaluate_folder(folder: Path, split: Split, test: csr_matrix, history: HistoryName) -> Evaluation:
    """The final evaluation of a saved model, on the GPU when there is one."""
    model = models.load(folder)
    if isinstance(model, TrainableRecommender):
        model.to(best_device())
    return final(model, split, test, history)


def popularity(split: Split, test: csr_matrix, history: HistoryName) -> dict[str, float]:
    """What recommending the most popular items scores on the test set: the least that a model must beat."""
    model: Any = models.model_class("popularity")(
        models.configure("popularity", {}, "popularity"), split.n_users, split.n_items
    )
    model.fit(split)
    return final(model, split, test, history).metrics()


def _evaluate(
    folder: str, split: list["ray.ObjectRef"], test: list["ray.ObjectRef"], history: HistoryName
) -> tuple[dict[str, float], pd.DataFrame]:
    data: Split = ray.get(split[0])
    with tempfile.TemporaryDirectory() as scratch:
        evaluation = evaluate_folder(download(folder, Path(scratch)), data, ray.get(test[0]), history)
    columns: dict[str, Any] = {
        "user": data.users[evaluation.users],
        "n_relevant": evaluation.n_relevant,
        **{name: values.astype(np.float32) for name, values in evaluation.per_user().items()},
    }
    return evaluation.metrics(), pd.DataFrame(columns)
