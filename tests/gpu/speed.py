"""What a step, an evaluation and their memory are, of every model at the size of real datasets."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, islice
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unblur import models
from unblur.data.artefacts import ItemEmbeddings
from unblur.data.dataset import Dataset
from unblur.models.base import TrainableRecommender
from unblur.training.loop import with_artefacts
from unblur.training.memory import Peak
from unblur.training.validation import sample, validated
from unblur.training.workers import Workers

WARM_UP, SECONDS, MOST = 3, 0.5, 50
"""Steps before the clock runs; how long it runs, and how many steps at most."""
USERS = 2_000
"""Of an evaluation."""


@dataclass(frozen=True)
class Speed:
    """Of one model with its default parameters. `step_ms` is by precision, a text where that one fails."""

    model: str
    batch_size: int | None
    step_ms: dict[str, float | str]
    evaluation_seconds: float
    users: int
    peak_mib: float | None
    estimated_mib: float


def speed(name: str, dataset: Dataset, device: torch.device) -> Speed:
    """Train some steps, evaluate once, and train some more in other precisions."""
    config = models.configure(name, {}, "check")
    model: Any = models.model_class(name)(config, dataset.n_users, dataset.n_items, seed=3)
    peak = Peak()
    model.to(device).setup(with_artefacts(model, with_made_embeddings(model, dataset)))
    step_ms: dict[str, float | str] = {"float32": milliseconds(model, dataset)}
    users = sample(dataset, USERS)
    began = now(device)
    validated(model, dataset, Workers(), users)
    evaluation_seconds, taken = now(device) - began, peak.facts(device).get("memory_mib")
    for precision, use in other_precisions(device).items():
        try:
            with use():
                step_ms[precision] = milliseconds(model, dataset)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            step_ms[precision] = str(error).partition("\n")[0]
    asked = dataset.n_users if users is None else len(users)
    batch_size = getattr(config, "batch_size", None)
    return Speed(name, batch_size, step_ms, evaluation_seconds, asked, taken, model.footprint(dataset) / 2**20)


def milliseconds(model: TrainableRecommender[Any], dataset: Dataset) -> float:
    """The median of a training step's, the making of its batch included."""
    took, began = list[float](), now(model.device)
    for _ in islice(steps(model, dataset), WARM_UP + MOST):
        ended = now(model.device)
        took, began = [*took, ended - began], ended
        if sum(took[WARM_UP:]) > SECONDS:
            break
    return 1e3 * median(took[WARM_UP:])


def steps(model: TrainableRecommender[Any], dataset: Dataset) -> Iterator[Tensor]:
    """Training steps without end: their losses."""
    model.train()
    optimizer = model.optimizer()
    for batch in chain.from_iterable(model.batches(dataset, epoch) for epoch in count()):
        yield Workers().step(model, optimizer, batch)


def now(device: torch.device) -> float:
    """When all is done that the device was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def other_precisions(device: torch.device) -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """What the device offers beside float32, which is what trainings use."""
    offered: dict[str, Callable[[], AbstractContextManager[Any]]] = {}
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        offered["tf32"] = _tf32
    if device.type != "cuda" or torch.cuda.is_bf16_supported():
        offered["bfloat16"] = partial(torch.autocast, device.type, torch.bfloat16)
    return offered


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def with_made_embeddings(model: TrainableRecommender[Any], dataset: Dataset) -> Dataset:
    """Embeddings of items are learned on the CPU, and their time is not asked for here."""
    rng = np.random.default_rng(0)
    wanted = [each for each in model.artefacts(model.config) if isinstance(each, ItemEmbeddings)]
    return dataset.with_artefacts(
        {each.name: rng.standard_normal((dataset.n_items, 64), dtype=np.float32) for each in wanted}
    )
