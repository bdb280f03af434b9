"""The one look at the test set: each trained model is tested once, as a task of the engine, and the answer is kept."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unblur import models, records
from unblur.data.dataset import HistoryName
from unblur.data.test_set import TestSet
from unblur.evaluation.popularity_groups import recall_by_popularity
from unblur.evaluation.ranking import Evaluation, final
from unblur.experiments.examples import FILE as EXAMPLES
from unblur.experiments.examples import Example, examples
from unblur.files import download, under
from unblur.models import trained_on
from unblur.records import upload
from unblur.training.report import Report
from unblur.training.task import MODEL
from unblur.training.workers import Workers, on_best_device

METRICS, PER_USER = "metrics.json", "per_user.parquet"


@dataclass(frozen=True)
class TestRun:
    """The test of the model that a training left in `folder`, on one worker."""

    __test__ = False

    folder: str
    history: HistoryName
    of: str
    """What the model is (`Task.digest`): another one's results in the folder are none of its."""

    @property
    def home(self) -> str:
        """The folder of the results."""
        return under(self.folder, f"test-{self.history}")

    @property
    def done(self) -> bool:
        """Whether the model has had its one test; the test set stays locked."""
        return self._read() is not None

    def run(self, data: TestSet, report: Report, workers: Workers) -> None:
        """Test the model unless that is done: metrics, recall by popularity, users' own results."""
        if self.done:
            return
        evaluation = self._evaluation(data)
        table, shown = _per_user(evaluation, data), _examples(evaluation, data)

        def write(folder: Path) -> None:
            table.to_parquet(folder / PER_USER, index=False)
            (folder / EXAMPLES).write_text(json.dumps(shown))

        saved = upload(write, self.home)
        records.write(under(self.home, METRICS), _metrics(evaluation, data), self.of, {"": saved})

    def _evaluation(self, data: TestSet) -> Evaluation:
        with tempfile.TemporaryDirectory() as scratch:
            return evaluate_folder(download(under(self.folder, MODEL), Path(scratch)), data)

    def metrics(self) -> dict[str, float]:
        """The metrics of a test that is done."""
        return self._read() or {}

    def _read(self) -> dict[str, float] | None:
        return records.read(under(self.home, METRICS), self.of)

    def per_user(self) -> pd.DataFrame:
        """A row for each user who has something held out, as a test that is done found them."""
        with tempfile.TemporaryDirectory() as fetched:
            return pd.read_parquet(download(self.home, Path(fetched)) / PER_USER)

    def examples(self) -> list[Example]:
        """What a few users had and would get; none of a test that an earlier version did."""
        with tempfile.TemporaryDirectory() as fetched:
            file = download(self.home, Path(fetched)) / EXAMPLES
            found: list[Example] = json.loads(file.read_text()) if file.exists() else []
            return found

    def copy_per_user(self, folder: Path) -> None:
        """Copy the users' own results (Parquet) into `folder`, which is made."""
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as fetched:
            shutil.copy(download(self.home, Path(fetched)) / PER_USER, folder)


@dataclass(frozen=True)
class PopularityTest(TestRun):
    """The same of recommending the most popular items: the least that a model must beat."""

    def _evaluation(self, data: TestSet) -> Evaluation:
        return popularity(data)


def evaluate_folder(folder: Path, data: TestSet) -> Evaluation:
    """The final evaluation of a saved model, on the GPU when there is one."""
    return final(on_best_device(trained_on.load(folder, data.dataset)), data.dataset, data.test, data.history)


def popularity(data: TestSet) -> Evaluation:
    """The final evaluation of recommending the most popular items."""
    config = models.configure("popularity", {}, "popularity")
    model: Any = models.model_class("popularity")(config, data.dataset.n_users, data.dataset.n_items)
    model.fit(data.dataset)
    return final(model, data.dataset, data.test, data.history)


def _metrics(evaluation: Evaluation, data: TestSet) -> dict[str, float]:
    by_popularity = recall_by_popularity(evaluation.items, data.test[evaluation.users], evaluation.counts)
    return {**evaluation.metrics(), **by_popularity}


def _examples(evaluation: Evaluation, data: TestSet) -> list[Example]:
    known = data.dataset.known(data.history == "train+valid")
    return examples(data.dataset, known, evaluation.users, evaluation.items)


def _per_user(evaluation: Evaluation, data: TestSet) -> pd.DataFrame:
    history = data.dataset.known(data.history == "train+valid").matrix
    columns: dict[str, Any] = {
        # a number that means nothing without the data: this table goes to MLflow
        "user": evaluation.users,
        "n_relevant": evaluation.n_relevant,
        "n_history": np.diff(history.indptr)[evaluation.users],
        **{name: values.astype(np.float32) for name, values in evaluation.per_user().items()},
    }
    return pd.DataFrame(columns)
