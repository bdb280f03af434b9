"""Every model's step, scores and training on a device beside the same on the CPU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tests.gpu.draws import DrawnOnCpu
from tests.helpers.synthetic import communities
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from unblur import models
from unblur.data.dataset import Dataset
from unblur.evaluation.ranking import evaluating, validate
from unblur.models.base import TrainableRecommender
from unblur.nn.sparse import dropped
from unblur.training.loop import TrainingSchedule, fit, with_artefacts
from unblur.training.workers import Workers

SMALL: dict[str, Any] = {"dims": (32,), "batch_size": 32, "lr": 0.01, "vae_lr": 0.01, "blocks": 1}
TOLERANCE = 1e-3
"""Of a difference's norm beside the CPU's: single precision, sums in other orders."""
VALUE_TOLERANCE = 0.02
"""Of nDCG@10: items of nearly the same score change places."""
NEGLIGIBLE = 1e-3
"""A parameter whose gradient is a smaller part of all is held against this part: what is left of it is rounding."""
EPOCHS = 20
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Agreement:
    """How far a device's results are from the CPU's; `value` is what the trained model is worth there."""

    model: str
    loss: float
    gradient: float
    score: float
    value: float
    value_on_cpu: float

    @property
    def holds(self) -> bool:
        differences = (self.loss, self.gradient, self.score)
        return max(differences) <= TOLERANCE and abs(self.value - self.value_on_cpu) <= VALUE_TOLERANCE


def trainable() -> list[str]:
    """The models that are trained by gradient; the others are fitted and scored on the CPU on every machine."""
    return [name for name in models.names() if models.trained_by_gradient(name)]


def agreement(name: str, device: torch.device, epochs: int = EPOCHS) -> Agreement:
    """One step from the same weights with the same draws, the scores after it, and a training."""
    dataset = communities()
    here, there = ready(name, dataset, CPU), ready(name, dataset, device)
    there.load_state_dict(here.state_dict())
    losses, gradients = zip(*(step(model, dataset) for model in (here, there)), strict=True)
    there.load_state_dict(here.state_dict())
    value, value_on_cpu = _trained(_small(name, dataset).to(device), dataset, epochs)
    return Agreement(
        name,
        difference(losses[1], losses[0]),
        max(map(_of_gradient(gradients[0]), gradients[1], gradients[0])),
        difference(scores(there, dataset), scores(here, dataset)),
        value,
        value_on_cpu,
    )


def ready(name: str, dataset: Dataset, device: torch.device) -> TrainableRecommender[Any]:
    """A small model that can be trained."""
    model = _small(name, dataset).to(device)
    model.setup(with_artefacts(model, dataset))
    return model


def _small(name: str, dataset: Dataset) -> TrainableRecommender[Any]:
    known = models.configure(name, {}, "check").model_dump()
    config = models.configure(name, {key: value for key, value in SMALL.items() if key in known}, "check")
    model = models.model_class(name)(config, dataset.n_users, dataset.n_items, seed=3)
    assert isinstance(model, TrainableRecommender)
    return model


def step(model: TrainableRecommender[Any], dataset: Dataset) -> tuple[Tensor, list[Tensor]]:
    """The losses and the gradients of a training step, on the CPU."""
    torch.manual_seed(0)
    model.train()
    batch = next(model.batches(dataset, 0))
    # the fused kernels of attention draw their dropout by themselves
    with DrawnOnCpu(), sdpa_kernel(SDPBackend.MATH):
        losses = Workers().step(model, model.optimizer(), batch)
    return losses.cpu(), [p.grad.cpu() for p in model.parameters() if p.grad is not None]


def scores(model: TrainableRecommender[Any], dataset: Dataset) -> Tensor:
    """Of all users and items, on the CPU."""
    with evaluating(model):
        return model.score(dataset.history(), np.arange(dataset.n_users)).cpu()


def difference(found: Tensor, expected: Tensor, least: float = 0.0) -> float:
    """|found - expected| / |expected|, the latter taken as at least `least`."""
    scale = max(expected.norm().item(), least)
    return (found - expected).norm().item() / scale if scale else found.norm().item()


def _of_gradient(expected: list[Tensor]) -> Any:
    whole = torch.stack([each.norm() for each in expected]).norm().item()
    return lambda there, here: difference(there, here, NEGLIGIBLE * whole)


def _trained(model: TrainableRecommender[Any], dataset: Dataset, epochs: int) -> tuple[float, float]:
    """nDCG@10 of a training where the model is, and of what came of it on the CPU."""
    outcome = fit(model, dataset, TrainingSchedule(epochs=epochs, patience=epochs), lambda _: None)
    return outcome.value, validate(model.to(CPU), dataset).metrics()["ndcg_at_10"]


@dataclass(frozen=True)
class Dropout:
    """What the device's own draws leave out, and the mean of what stays of ones."""

    asked: float
    left_out: float
    mean: float

    @property
    def holds(self) -> bool:
        return abs(self.left_out - self.asked) < 0.01 and abs(self.mean - 1) < 0.02


def dropout(device: torch.device, asked: float = 0.3) -> Dropout:
    """Of 200,000 entries."""
    kept = dropped(torch.ones(400, 500, device=device), asked)
    return Dropout(asked, (kept == 0).float().mean().item(), kept.mean().item())
