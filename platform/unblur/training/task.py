"""One training as a value: what to train, from which seed, for how long, and where its files go."""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from unblur import models, records
from unblur.data.dataset import Dataset
from unblur.files import under
from unblur.formatting import gigabytes
from unblur.models import trained_on
from unblur.models.base import Recommender
from unblur.provenance import TRAINING
from unblur.records import upload
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import Outcome, TrainingFailed, TrainingSchedule, fit
from unblur.training.memory import Peak, room
from unblur.training.power import draws
from unblur.training.report import Progress, Report
from unblur.training.validation import sweep
from unblur.training.workers import Workers, best_device, on_best_device

MODEL, OUTCOME = "model", "outcome.json"
"""In the folder of a finished training whose model is kept."""


class Task(BaseModel):
    """A model with its parameters and seed, and the schedule of its training. Everything but the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """Name of the recommender."""
    params: dict[str, Any]
    """Its Config's fields."""
    seed: int
    """Of the initial weights and of every draw in training."""
    schedule: TrainingSchedule
    """Epochs, evaluations, patience, metric."""
    folder: str
    """Path or URI of the training's own folder: `checkpoints/` while it runs, `model/` afterwards if `keep`."""
    keep: bool = False
    """Save the trained model."""
    grid: tuple[dict[str, Any], ...] = ()
    """Settings of inference, of which each evaluation takes the best."""

    @property
    def digest(self) -> str:
        """Of all that decides what the training of one dataset comes to."""
        what = [TRAINING, self.model_dump(mode="json", exclude={"folder", "keep"})]
        return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def outcome(self) -> dict[str, Any] | None:
        """Epoch, value, metrics, parameter count, ... of the finished training whose model lies whole in the folder."""
        return records.read(under(self.folder, OUTCOME), self.digest)

    def run(self, dataset: Dataset, report: Report, workers: Workers = Workers()) -> Outcome:  # noqa: B008 - frozen
        """Train, resuming from the task's checkpoints; TrainingFailed when that cannot succeed.

        Running out of memory is such a failure too: the same configuration would again.
        """
        config = models.configure(self.model, self.params, f"model {self.model}")
        checkpoints, peak = Checkpoints(under(self.folder, "checkpoints")), Peak()
        try:
            model = models.model_class(self.model)(config, dataset.n_users, dataset.n_items, self.seed)
            device = best_device(model)
            needs, (has, where) = model.footprint(dataset), room(device)
            if needs > has:
                raise TrainingFailed(f"needs an estimated {gigabytes(needs)} of memory; {where} has {gigabytes(has)}")
            measured = _measured(report, peak, device)
            model = on_best_device(model)
            outcome = fit(model, dataset, self.schedule, measured, checkpoints, workers, self.grid)
            if self.keep and self.grid and not outcome.sweep:
                outcome = replace(outcome, sweep=self._sweep(model, dataset, workers, outcome))
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            raise TrainingFailed(f"out of memory: {str(error).splitlines()[0]}") from error
        if workers.rank == 0:
            if self.keep:
                saved = upload(lambda folder: trained_on.save(model, folder, dataset), under(self.folder, MODEL))
                facts = {"parameters": model.parameter_count, **peak.facts(device)}
                records.write(under(self.folder, OUTCOME), {**asdict(outcome), **facts}, self.digest, {MODEL: saved})
            checkpoints.clear()
        return outcome

    def _sweep(
        self, model: Recommender[Any], dataset: Dataset, workers: Workers, outcome: Outcome
    ) -> list[dict[str, Any]]:
        """How the model answers to all of its grid, beyond what the choice of the best needed to know."""
        found = sweep(self.grid, model, dataset, workers)
        model.infer_with(outcome.inference)
        return found


def _measured(report: Report, peak: Peak, device: torch.device) -> Report:
    """`report` with the most memory that the training took so far among the facts, and what its place draws."""

    def measured(progress: Progress) -> None:
        report(replace(progress, facts={**progress.facts, **peak.facts(device), **draws(device)}))

    return measured


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
