"""One training as a value: what to train, from which seed, for how long, and where its files go."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs
from pydantic import BaseModel, ConfigDict

from unblur import models
from unblur.data.dataset import Dataset
from unblur.training.checkpoints import Checkpoints, filesystem, under, write_atomically
from unblur.training.loop import Outcome, Plan, Report, TrainingFailed, fit
from unblur.training.memory import Peak, gigabytes, room
from unblur.training.workers import Workers, best_device, on_best_device

OUTCOME = "outcome.json"


class Task(BaseModel):
    """A model with its parameters and seed, and the plan of its training. Everything but the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """Name of the recommender."""
    params: dict[str, Any]
    """Its Config's fields."""
    seed: int
    """Of the initial weights and of every draw in training."""
    plan: Plan
    """Epochs, evaluations, patience, metric."""
    folder: str
    """Path or URI of the training's own folder: `checkpoints/` while it runs, `model/` afterwards if `keep`."""
    keep: bool = False
    """Save the trained model."""
    grid: tuple[dict[str, Any], ...] = ()
    """Settings of inference, of which each evaluation takes the best."""


def run(task: Task, dataset: Dataset, report: Report, workers: Workers = Workers()) -> Outcome:  # noqa: B008 - frozen
    """Train as `task` says, resuming from its checkpoints; TrainingFailed when it cannot succeed.

    Running out of memory is such a failure too: the same configuration would again.
    """
    config = models.configure(task.model, task.params, f"model {task.model}")
    checkpoints, peak = Checkpoints(under(task.folder, "checkpoints")), Peak()
    try:
        model = models.model_class(task.model)(config, dataset.n_users, dataset.n_items, task.seed)
        device = best_device(model)
        needs, (has, where) = model.footprint(dataset), room(device)
        if needs > has:
            raise TrainingFailed(f"needs an estimated {gigabytes(needs)} of memory; {where} has {gigabytes(has)}")
        told = _with_memory(report, peak, device)
        outcome = fit(on_best_device(model), dataset, task.plan, told, checkpoints, workers, task.grid)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise TrainingFailed(f"out of memory: {str(error).splitlines()[0]}") from error
    if workers.rank == 0:
        if task.keep:
            upload(model.save, under(task.folder, "model"))
            # last: who finds it finds the whole model
            facts = {"parameters": model.parameter_count, **peak.facts(device)}
            write(task.folder, OUTCOME, {**asdict(outcome), **facts})
        checkpoints.clear()
    return outcome


def _with_memory(report: Report, peak: Peak, device: torch.device) -> Report:
    """`report`, which is also told the most memory that the training took so far."""

    def told(epoch: int, metrics: dict[str, float], /) -> bool:
        return report(epoch, metrics | peak.facts(device))

    return told


def write(folder: str, name: str, content: dict[str, Any]) -> None:
    """Write a JSON file into `folder`, a path or URI, at once."""
    files, root = filesystem(folder)
    write_atomically(files, f"{root}/{name}", json.dumps(content, indent=1).encode())


def read(folder: str, name: str) -> dict[str, Any] | None:
    """A JSON file that `write` wrote; None when it is not there."""
    files, root = filesystem(folder)
    try:
        with files.open_input_stream(f"{root}/{name}") as stream:
            content: dict[str, Any] = json.loads(stream.read())
    except FileNotFoundError:
        return None
    return content


def upload(save: Any, folder: str) -> None:
    """Call `save(path)` with an empty folder and copy what it wrote to `folder`, a path or URI."""
    files, root = filesystem(folder)
    with tempfile.TemporaryDirectory() as local:
        save(Path(local))
        files.create_dir(root, recursive=True)
        fs.copy_files(local, root, source_filesystem=fs.LocalFileSystem(), destination_filesystem=files)


def download(folder: str, local: Path) -> Path:
    """`folder` itself when it is a local path, otherwise a copy of it in `local`."""
    files, root = filesystem(folder)
    if isinstance(files, fs.LocalFileSystem):
        return Path(root)
    local.mkdir(parents=True, exist_ok=True)
    fs.copy_files(root, str(local), source_filesystem=files, destination_filesystem=fs.LocalFileSystem())
    return local


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
