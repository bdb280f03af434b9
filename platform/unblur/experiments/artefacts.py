"""Artefacts of an experiment: made once, as tasks of the engine, before the trainings that share them."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from unblur import models, records
from unblur.data.artefacts import Artefact, address
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed
from unblur.files import download, under
from unblur.running.execution import Execution
from unblur.running.task_list import TaskList
from unblur.running.work import Assignment
from unblur.training.artefacts import make
from unblur.training.loop import fit_for
from unblur.training.report import Report
from unblur.training.workers import Workers

FILE, MADE = "artefact.npy", "artefact.json"


@dataclass(frozen=True)
class MakeArtefact:
    """Make an artefact on one worker and keep it in `folder`, which its content address names."""

    artefact: Artefact
    seed: int
    folder: str

    @property
    def done(self) -> bool:
        return self.record is not None

    @property
    def record(self) -> dict[str, Any] | None:
        """`seconds` that it took; None while it is not made."""
        return records.read(under(self.folder, MADE), self.artefact.name)

    def run(self, dataset: Dataset, report: Report, workers: Workers) -> None:
        if not self.done:
            started = time.monotonic()
            array = make(self.artefact, dataset, self.seed, fit_for)
            took = {"seconds": time.monotonic() - started}
            saved = records.upload(lambda folder: np.save(folder / FILE, array, allow_pickle=False), self.folder)
            records.write(under(self.folder, MADE), took, self.artefact.name, {"": saved})

    def load(self) -> Any:
        with TemporaryDirectory() as scratch:
            return np.load(download(self.folder, Path(scratch)) / FILE, allow_pickle=False)


def needed(model: str, configurations: Iterable[Mapping[str, Any]]) -> list[Artefact]:
    """The artefacts of any of the configurations of a model, each once."""
    kind = models.model_class(model)
    configs = (models.configure(model, dict(params), f"model {model}") for params in configurations)
    return list({each.name: each for config in configs for each in kind.artefacts(config)}.values())


def addresses(artefacts: Iterable[Artefact], digest: str, seed: int) -> dict[str, str]:
    """The content address of each artefact, by name."""
    return {each.name: address(each, digest, seed) for each in artefacts}


def with_shared_artefacts(
    dataset: Dataset, artefacts: Iterable[Artefact], seed: int, root: str, execution: Execution
) -> Dataset:
    """The dataset with these artefacts, made where the storage `root` has them not yet; RunFailed when that fails."""
    tasks = _tasks(dataset, artefacts, seed, root)
    assignments = [Assignment(number, {"artefact": task.artefact.name}, task) for number, task in enumerate(tasks)]
    source = TaskList(assignments, lambda each: tasks[each.number].done, "")
    execution.alone().run(source, {"": dataset})
    if source.failures:
        told = "; ".join(f"{tasks[n].artefact.name}: {reason}" for n, reason in source.failures.items())
        raise RunFailed(f"{told}. The same command tries again")
    return dataset.with_artefacts({task.artefact.name: task.load() for task in tasks})


def seconds_of(dataset: Dataset, artefacts: Iterable[Artefact], seed: int, root: str) -> float:
    """What making these artefacts took, by whichever experiment that was."""
    records = (task.record for task in _tasks(dataset, artefacts, seed, root))
    return sum(float(record["seconds"]) for record in records if record)


def _tasks(dataset: Dataset, artefacts: Iterable[Artefact], seed: int, root: str) -> list[MakeArtefact]:
    places = ((each, under(root, "artefacts", address(each, dataset.digest, seed))) for each in artefacts)
    return [MakeArtefact(each, seed, folder) for each, folder in places]
