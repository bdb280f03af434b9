"""Prepared data as experiments use them: what may be searched on, and the one way to the test part."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from unblur.data.dataset import Dataset, HistoryName
from unblur.data.download import local_folder
from unblur.data.prepare import prepare
from unblur.data.prepared_folder import folder_of
from unblur.data.presets import history_of
from unblur.data.request import DataRequest, name_of
from unblur.data.store import Facts, load_dataset
from unblur.data.test_set import TestSet
from unblur.evaluation.protocol import GIVEN, VALIDATIONS, EvaluationProtocol
from unblur.tracking.runs import LoggedDataset


@dataclass(frozen=True)
class PreparedData:
    """One prepared dataset."""

    request: DataRequest
    dataset: Dataset
    """Train and validation; the test part is not in it."""
    facts: Facts
    local: Path
    """The folder of all prepared data."""
    history: HistoryName
    """What a model sees of a user at the test."""
    data_dir: Path | None = None
    """The folder of raw files that was named."""
    root: str = ""
    """Of the storage: absolute path or URI."""
    validation: str = GIVEN
    """What a search selects by."""

    @property
    def name(self) -> str:
        """Name of the dataset, as experiments and models are called."""
        return name_of(self.request.dataset)

    @property
    def digest(self) -> str:
        return self.dataset.digest

    @property
    def protocol(self) -> EvaluationProtocol:
        """How models are tested on it."""
        return EvaluationProtocol.of(self.request, self.history, self.validation)

    @cached_property
    def selection(self) -> Dataset:
        """What the trials of a search train on and are judged by; UserError where the data cannot be cut so."""
        selected: Dataset = VALIDATIONS.get(self.validation)(self.dataset)
        return selected

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment."""
        return f"{self.name}/{self.request.protocol}"

    def frame(self) -> pd.DataFrame:
        """The interactions that a search may see, a row each: user, item (raw ids) and part (train or valid)."""
        data, frames = self.dataset, []
        for part, matrix in (("train", data.train), ("valid", data.valid)):
            rows, columns = matrix.nonzero()
            frames.append(pd.DataFrame({"user": data.users[rows], "item": data.items[columns], "part": part}))
        return pd.concat(frames, ignore_index=True)

    def logged(self) -> LoggedDataset:
        """The dataset as MLflow shows it."""
        return LoggedDataset(self.name, self.digest, {**self.facts.model_dump(), "valid_untrained": self._untrained})

    @property
    def _untrained(self) -> float:
        """The share of the validation interactions whose item nobody has in train."""
        trained = np.bincount(self.dataset.train.indices, minlength=self.dataset.n_items) > 0
        asked = self.dataset.valid.indices
        return float(1 - trained[asked].mean()) if len(asked) else 0.0

    @property
    def folder(self) -> Path:
        """The folder of this dataset."""
        return folder_of(self.local, self.digest)

    def open_test(self, reason: str) -> TestSet:
        """Open the test part, for a final evaluation; the reason goes into the log of openings."""
        return TestSet.open(reason, self.local, self.dataset, self.history)


def prepare_data(
    request: DataRequest, root: str, data_dir: Path | None, console: Console, history: HistoryName | None = None
) -> PreparedData:
    """Prepare what is asked for, or find it prepared, in the storage `root`; UserError.

    data_dir: the folder of raw files. history: another than that of the request's split.
    """
    local = local_folder(root)
    prepared = prepare(request, data_dir, local)
    for line in prepared.report:
        console.print(line, markup=False)
    seen = history or history_of(request)
    dataset = ordered_as_seen(load_dataset(prepared.folder), seen, console)
    return PreparedData(request, dataset, prepared.facts, local, seen, data_dir, root)


def ordered_as_seen(dataset: Dataset, history: HistoryName, console: Console) -> Dataset:
    """The data without an order where what a model sees at the test has none: known now, and not after a search."""
    if history == "train" or dataset.train_rank is None or dataset.valid_rank is not None:
        return dataset
    console.print("validation has no order in time, nor has history train+valid: nothing is weighed by its age")
    return replace(dataset, train_rank=None)


def sizes(selection: Dataset) -> str:
    """What trials train on and are judged by, in words."""
    users = int((selection.valid.sum(axis=1) > 0).sum())
    hidden = f", {selection.hidden.nnz:,} hidden" if selection.hidden is not None else ""
    return f"train {selection.train.nnz:,}{hidden}, validation {selection.valid.nnz:,} of {users:,} users"
