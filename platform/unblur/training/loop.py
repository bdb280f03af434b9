"""The one training loop: epochs, evaluations, early stopping, checkpoints. It talks outward through `report` alone.

Every epoch draws its random numbers from (seed, epoch, rank), so that a training resumed from a checkpoint goes on
exactly as if nothing had happened.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from unblur.data.dataset import Dataset
from unblur.evaluation.ranking import ScoresNotFinite
from unblur.models.base import Batch, ClosedFormRecommender, Recommender, TrainableRecommender
from unblur.provenance import TRAINING
from unblur.seeds import epoch_seed
from unblur.training.artefacts import provided
from unblur.training.checkpoints import Checkpoint, Checkpoints
from unblur.training.ema import Average
from unblur.training.likeness import like
from unblur.training.parallel_efficiency import efficiency
from unblur.training.report import Progress, Report
from unblur.training.validation import Settings, best_of, best_of_all, sample, validated
from unblur.training.workers import Workers


class TrainingFailed(Exception):
    """The configuration cannot be trained (its loss or scores became NaN); trying again would not help."""


class Diverged(TrainingFailed):
    """The loss stopped being finite; what was evaluated before is as good as ever."""


class TrainingSchedule(BaseModel):
    """How long to train, and what decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(100, ge=1)
    """Epochs at most."""
    eval_every: int = Field(5, ge=1)
    """Epochs between two evaluations on the validation set."""
    patience: int = Field(20, ge=1)
    """Stop after so many epochs without a better validation value."""
    metric: str = "ndcg_at_10"
    """The validation metric that decides."""
    validation_users: int | None = Field(None, ge=1, exclude_if=lambda value: value is None)
    """Evaluate on so many users, and only the trained model on all; None: all of them always."""
    blind: bool = Field(False, exclude_if=lambda value: not value)
    """Train to the last epoch and keep its weights: of data without a validation part."""


NOT_KNOWN = -1.0
"""A value below all that metrics have."""


@dataclass(frozen=True)
class Outcome:
    """The best evaluation of a training; the model holds its weights."""

    epoch: int = 0
    value: float = NOT_KNOWN
    metrics: dict[str, float] = field(default_factory=dict)
    inference: dict[str, Any] = field(default_factory=dict)
    """The settings of inference that were best, where there was a grid of them."""
    efficiency: float | None = None
    """Of several workers: how many times as fast as one they are, over their number."""
    diverged: str | None = None
    """Why the training ended before its time, its loss or scores no longer finite; the best epoch counts."""
    sweep: list[dict[str, Any]] = field(default_factory=list)
    """Every setting of the grid with its metrics, where the choice of the best took them all."""


def fit(
    model: Recommender[Any],
    dataset: Dataset,
    schedule: TrainingSchedule,
    report: Report,
    checkpoints: Checkpoints | None = None,
    workers: Workers = Workers(),  # noqa: B008 - frozen
    grid: Sequence[Settings] = (),
) -> Outcome:
    """Train `model` and leave it with its best weights by `schedule.metric` on the validation set.

    With a `grid` of settings of inference (`Config.INFERENCE`), each evaluation is that of the best of them, and the
    model is left with the best epoch's. A training with `checkpoints` resumes from their newest sound one. The outcome
    is of all users, also where the schedule's evaluations are of a sample. A loss or scores that are not finite end the
    training; TrainingFailed when nothing was evaluated before.
    """
    try:
        if isinstance(model, ClosedFormRecommender):
            return _fit_at_once(model, with_artefacts(model, dataset), schedule, report, workers, grid)
        assert isinstance(model, TrainableRecommender)
        return Training(model, dataset, schedule, report, checkpoints, workers, grid).run()
    except ScoresNotFinite as error:
        raise TrainingFailed(str(error)) from error


def fit_for(model: Recommender[Any], dataset: Dataset, epochs: int) -> Outcome:
    """Train `model` for so many epochs and leave it with its last weights, whatever validation says."""
    schedule = TrainingSchedule(epochs=epochs, eval_every=epochs, patience=epochs)
    return fit(model, dataset, schedule, lambda _: None)


def with_artefacts(model: Recommender[Any], dataset: Dataset) -> Dataset:
    """The dataset with all that the model wants to find; what is not there yet is made here, with the model's seed."""
    return provided(dataset, model.artefacts(model.config), model.seed, fit_for)


def _fit_at_once(
    model: ClosedFormRecommender[Any],
    dataset: Dataset,
    schedule: TrainingSchedule,
    report: Report,
    workers: Workers,
    grid: Sequence[Settings],
) -> Outcome:
    started = time.monotonic()
    model.fit(dataset)
    if schedule.blind:
        report(Progress(1, facts=_fitted(model, started)))
        return Outcome(1)
    # there is this one evaluation, and a few users do not tell settings apart that lie a few percent from each other
    settings, metrics, swept = best_of_all(grid, model, dataset, schedule.metric, workers)
    facts = _fitted(model, started)
    report(Progress(1, metrics, metrics[schedule.metric], settings, facts))
    return Outcome(1, metrics[schedule.metric], metrics, settings, sweep=swept)


def _fitted(model: ClosedFormRecommender[Any], started: float) -> dict[str, float]:
    return {"seconds": time.monotonic() - started, "parameters": float(model.parameter_count)}


class Training:
    """One training run and its state; `run` goes through with it."""

    def __init__(
        self,
        model: TrainableRecommender[Any],
        dataset: Dataset,
        schedule: TrainingSchedule,
        report: Report,
        checkpoints: Checkpoints | None,
        workers: Workers,
        grid: Sequence[Settings] = (),
    ) -> None:
        dataset = with_artefacts(model, dataset)
        self.model, self.dataset, self.schedule, self.report = model, dataset, schedule, report
        self.checkpoints, self.workers, self.grid = checkpoints, workers, grid
        model.setup(dataset)
        self.efficiency = efficiency(model, dataset, workers)
        self.optimizer = model.optimizer()
        self.users = None if schedule.blind else sample(dataset, schedule.validation_users)
        self.average = Average(model, model.config.ema) if model.config.ema else None
        self.epoch, self.best, self.best_weights = 0, Outcome(), _copy(model)
        self.begun = self.saved = time.monotonic()
        self._resume()
        self.forward = workers.wrap(model)

    def run(self) -> Outcome:
        diverged = None
        try:
            self._train()
        except (Diverged, ScoresNotFinite) as error:
            if self.best.epoch == 0 or self.schedule.blind:
                raise
            diverged = str(error)
        self.model.load_state_dict(self.best_weights)
        self.model.infer_with(self.best.inference)
        self.model.eval()
        if self.users is not None:
            self._validate_on_all()
        return replace(self.best, efficiency=self.efficiency, diverged=diverged)

    def _train(self) -> None:
        while self.epoch < self.schedule.epochs and not self._patience_is_over():
            loss = self.train_epoch()
            if self.epoch % self.schedule.eval_every == 0 or self.epoch == self.schedule.epochs:
                with self.average.in_place() if self.average else nullcontext():
                    settings, metrics = self._validate()
                    self._keep_best(metrics, settings)
                # before the checkpoint: what lies before a checkpoint is not reported again by who resumes from it
                self.report(self._progress(metrics, loss))
            self._save_if_due()

    def _save_if_due(self) -> None:
        """At an epoch's end, evaluated or not: what an evaluation adds to the state is the best weights."""
        due = self.workers.notice() or time.monotonic() - self.saved >= CHECKPOINT_SECONDS
        if due and self.checkpoints and self.workers.rank == 0:
            self.checkpoints.save(self.state())
            self.saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Trained and evaluated, in all processes that this training has had."""
        return time.monotonic() - self.begun

    def _validate_on_all(self) -> None:
        """The trained model's own metrics, in place of the sample's by which it was chosen."""
        metrics = validated(self.model, self.dataset, self.workers)
        self.best = replace(self.best, value=metrics[self.schedule.metric], metrics=metrics)
        self.report(Progress(self.epoch, best=self.best.value))

    def _validate(self) -> tuple[dict[str, Any], dict[str, float]]:
        if self.schedule.blind:
            return {}, {}
        return best_of(self.grid, self.model, self.dataset, self.schedule.metric, self.workers, self.users)

    def _progress(self, metrics: dict[str, float], loss: float) -> Progress:
        facts = {"loss": loss, "seconds": self.seconds, "parameters": float(self.model.parameter_count)}
        if self.efficiency is not None:
            facts["efficiency"] = self.efficiency
        best = self.best.value if self.users is None and metrics else None
        return Progress(self.epoch, metrics, best, self.best.inference, facts)

    def train_epoch(self) -> float:
        """One epoch; the mean loss per example over all workers."""
        workers = self.workers
        torch.manual_seed(epoch_seed(self.model.seed, self.epoch, workers.rank))
        self.model.train()
        total = torch.zeros(2, dtype=torch.float64, device=self.model.device)
        try:
            for batch in self._batches():
                self._step(batch, total)
            self.optimizer.zero_grad(set_to_none=True)  # as large as the model, and of no use to the evaluation
        except RuntimeError as error:  # what comes after a loss that is not finite, such as draws weighted by it
            if torch.isfinite(total).all():
                raise
            raise Diverged(f"the loss became {total[0]} in epoch {self.epoch + 1}: try a smaller lr") from error
        self.epoch += 1
        loss, examples = workers.total(total).tolist()
        if not np.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {self.epoch}: try a smaller lr")
        return float(loss / max(examples, 1))

    def _step(self, batch: Batch, total: Tensor) -> None:
        losses = self.workers.step(self.forward, self.optimizer, batch)
        if self.average is not None:
            self.average.follow()
        total += torch.stack([losses.sum().double(), total.new_tensor(len(losses))])

    def _batches(self) -> Iterator[Batch]:
        return self.model.batches(self.dataset, self.epoch, self.workers.rank, self.workers.world)

    def _keep_best(self, metrics: dict[str, float], settings: dict[str, Any]) -> None:
        value = metrics.get(self.schedule.metric, NOT_KNOWN)
        if self.schedule.blind or value > self.best.value:
            self.best, self.best_weights = Outcome(self.epoch, value, metrics, settings), _copy(self.model)

    def _patience_is_over(self) -> bool:
        evaluated = self.epoch % self.schedule.eval_every == 0
        return evaluated and self.epoch - self.best.epoch >= self.schedule.patience

    def state(self) -> Checkpoint:
        """All that a resumed training needs; on a CPU it shares the memory of the model and its optimiser."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"model/{name}": value.detach().cpu() for name, value in self.model.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best_weights.items()}
        tensors |= {f"optimizer/{i}/{name}": v.cpu() for i, state in moments.items() for name, v in state.items()}
        if self.average is not None:
            tensors |= {f"average/{name}": value.cpu() for name, value in self.average.state().items()}
        meta = {"training": TRAINING, "best": asdict(self.best), "seconds": self.seconds}
        return Checkpoint(self.epoch, tensors, meta)

    def _resume(self) -> None:
        checkpoint = self.checkpoints.newest(like(self.state(), self.optimizer)) if self.checkpoints else None
        if checkpoint is None:
            return
        self.model.load_state_dict(_under("model/", checkpoint.tensors))
        self.best_weights = _under("best/", checkpoint.tensors)
        if self.average is not None:
            self.average.restore(_under("average/", checkpoint.tensors))
        self.best, self.epoch = Outcome(**checkpoint.meta["best"]), checkpoint.epoch
        self.begun -= checkpoint.meta["seconds"]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer/", checkpoint.tensors).items():
            index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})


def _copy(model: TrainableRecommender[Any]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


CHECKPOINT_SECONDS = 15.0
"""A checkpoint is written at the end of the first epoch after so many: what a death costs is that and an epoch."""
