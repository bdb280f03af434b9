"""Artefacts of an experiment: made once, as tasks of the engine, before the trainings that share them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import cuda

from unblur import models, records
from unblur.data.artefacts import Artefact, address
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed
from unblur.files import download, under
from unblur.running.execution import Execution
from unblur.running.task_list import TaskList
from unblur.running.work import Assignment
from unblur.seeds import derive
from unblur.tracking import names
from unblur.tracking.runs import Kind
from unblur.tracking.spending import spent, total
from unblur.training.artefacts import make
from unblur.training.loop import fit_for
from unblur.training.power import draws
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
        """`seconds` that it took, and what its place draws; None while it is not made."""
        return records.read(under(self.folder, MADE), self.artefact.name)

    def run(self, dataset: Dataset, report: Report, workers: Workers) -> None:
        if not self.done:
            started = time.monotonic()
            array = make(self.artefact, dataset, self.seed, fit_for)
            took = {
                "seconds": time.monotonic() - started,
                **draws(torch.device("cuda" if cuda.is_available() else "cpu")),
            }
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


def addresses(artefacts: Iterable[Artefact], digest: str, seed: int, number: int = 0) -> dict[str, str]:
    """The content address of each artefact of the training of this number, by name."""
    return {each.name: address(each, digest, seed_of(each, seed, number)) for each in artefacts}


def seed_of(artefact: Artefact, seed: int, number: int) -> int:
    """An artefact's seed, for the training of this number, from 0, of those that differ by chance alone.

    What chance makes is another one for each, so that their spread shows it. All else has the `seed` of the study, and
    so have all artefacts of the first.
    """
    return derive("artefact", seed, number) if number and artefact.by_chance else seed


@dataclass(frozen=True)
class SharedArtefacts:
    """The artefacts of trainings on one dataset, kept in the storage `root`: made once, for all that ask for them."""

    dataset: Dataset
    artefacts: Sequence[Artefact]
    seed: int
    root: str

    def made(self, execution: Execution, numbers: Iterable[int] = (0,)) -> dict[int, Dataset]:
        """The dataset for the training of each number, with its artefacts, made where they are missing; of trainings
        that share all of them it is one object. RunFailed when that fails."""
        tasks = {number: self._tasks(number) for number in numbers}
        _make(list(dict.fromkeys(task for each in tasks.values() for task in each)), self.dataset, execution)
        datasets = {each: self._with(each) for each in set(tasks.values())}
        return {number: datasets[each] for number, each in tasks.items()}

    def spent(
        self, kind: Kind, execution: Execution, numbers: Iterable[int], without: Iterable[int] = ()
    ) -> dict[str, float]:
        """What making those of the trainings of these numbers took, by whichever experiment that was, but for those
        that the trainings of the other numbers have; by name in MLflow, as if each had what they have here."""
        tasks, others = ({task for number in each for task in self._tasks(number)} for each in (numbers, without))
        each = execution.alone().resources
        costs = total(spent(task.record, each.cpus, each.gpus) for task in tasks - others if task.record)
        return {names.artefacts(kind, name): value for name, value in costs.items()}

    def _tasks(self, number: int) -> tuple[MakeArtefact, ...]:
        seeds = ((each, seed_of(each, self.seed, number)) for each in self.artefacts)
        return tuple(MakeArtefact(each, seed, self._folder(each, seed)) for each, seed in seeds)

    def _folder(self, artefact: Artefact, seed: int) -> str:
        return under(self.root, "artefacts", address(artefact, self.dataset.digest, seed))

    def _with(self, tasks: Sequence[MakeArtefact]) -> Dataset:
        return self.dataset.with_artefacts({task.artefact.name: task.load() for task in tasks})


def _make(tasks: Sequence[MakeArtefact], dataset: Dataset, execution: Execution) -> None:
    assignments = [Assignment(number, {"artefact": task.artefact.name}, task) for number, task in enumerate(tasks)]
    source = TaskList(assignments, lambda each: tasks[each.number].done, "")
    execution.alone().run(source, {"": dataset})
    if source.failures:
        told = "; ".join(f"{tasks[n].artefact.name}: {reason}" for n, reason in source.failures.items())
        raise RunFailed(f"{told}. The same command tries again")
