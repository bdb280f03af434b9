"""What several workers gain over one: measured in a few steps before a training, which stays as it is."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from unblur.data.dataset import Dataset
from unblur.models.base import TrainableRecommender
from unblur.training.workers import Workers

WARM_UP, STEPS = 2, 3
"""Batches: DDP arranges its buckets in the first two steps; the others are timed."""


def efficiency(model: TrainableRecommender[Any], dataset: Dataset, workers: Workers) -> float | None:
    """t_1 / (n t_n), where a training step takes t_1 seconds on one worker and t_n on n that share its batch.

    Both are timed on the same batches, optimiser and averaging of gradients included; the median counts. Weights,
    buffers and random numbers are afterwards as before. All workers must call this, after `model.setup`. None for a
    single worker, and where one alone cannot take a whole batch.
    """
    if workers.world == 1:
        return None
    with _restored(model):
        # the first worker has the machine for itself as long as the others wait for its sum
        alone = workers.total(_alone(model, dataset) if workers.rank == 0 else _filled(0, model))
        together = workers.total(_seconds(model, dataset, workers))  # of all workers: n t_n
    ratio = (alone / together).median().item()
    return ratio if math.isfinite(ratio) else None


def _alone(model: TrainableRecommender[Any], dataset: Dataset) -> Tensor:
    try:
        return _seconds(model, dataset, Workers())
    except (MemoryError, RuntimeError):  # a batch may fit in shares only, and the other workers wait
        return _filled(math.nan, model)


def _seconds(model: TrainableRecommender[Any], dataset: Dataset, workers: Workers) -> Tensor:
    """How long each of STEPS steps (STEPS,) takes this worker."""
    forward, optimizer = workers.wrap(model), model.optimizer()
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # as much work, and no way to diverge
    epochs = range(WARM_UP + STEPS)  # one may have a single batch
    batches = chain.from_iterable(model.batches(dataset, epoch, workers.rank, workers.world) for epoch in epochs)
    ends = [_now(model)]
    for batch in islice(batches, WARM_UP + STEPS):
        workers.step(forward, optimizer, batch)
        ends.append(_now(model))
    return torch.tensor(ends, dtype=torch.float64, device=model.device).diff()[WARM_UP:]


def _now(model: TrainableRecommender[Any]) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def _filled(value: float, model: TrainableRecommender[Any]) -> Tensor:
    return torch.full((STEPS,), value, dtype=torch.float64, device=model.device)


@contextmanager
def _restored(model: TrainableRecommender[Any]) -> Iterator[None]:
    """Leave the model's state, buffers included, and the random numbers as they are before the block."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            yield
    finally:
        model.load_state_dict(before)
        model.zero_grad(set_to_none=True)
