"""Trainings side by side on one device: what each gives beside what one alone gives."""

import multiprocessing
import time
from dataclasses import dataclass
from typing import Any

import torch
from tests.gpu.made import Size, made
from tests.gpu.speed import now, steps
from tests.gpu.utilisation import Utilisation

from unblur import models
from unblur.training.memory import take_share

MODEL = "cfg_diffrec"
START_SECONDS = 120.0
"""For all processes to import PyTorch and make their data."""


@dataclass(frozen=True)
class SideBySide:
    """`steps_per_second` is of all trainings together; `utilisation` is the device's own word, None without one."""

    trainings: int
    steps_per_second: float
    mib_each: float | None
    utilisation: dict[str, float] | None


def side_by_side(trainings: int, size: Size, device: torch.device, seconds: float) -> SideBySide:
    """So many processes, each with its share of the device, train for so many seconds at once.

    Raises RuntimeError when one of them fails.
    """
    spawn = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    told, ready = spawn.Queue(), spawn.Barrier(trainings + 1)
    asked = (size, str(device), 1 / trainings, seconds, ready, told)
    processes = [spawn.Process(target=_train, args=asked, daemon=True) for _ in range(trainings)]
    for process in processes:
        process.start()
    ready.wait(START_SECONDS)
    with Utilisation(device) as utilisation:
        found = [told.get(timeout=START_SECONDS + seconds) for _ in processes]
    for process in processes:
        process.join()
    if failures := [each for each in found if isinstance(each, str)]:
        raise RuntimeError(f"{len(failures)} of {trainings} trainings failed: {failures[0]}")
    memory = [mib for _, mib in found if mib is not None]
    return SideBySide(trainings, sum(rate for rate, _ in found), max(memory) if memory else None, utilisation.percent())


def _train(size: Size, where: str, share: float, seconds: float, ready: Any, told: Any) -> None:
    """Put (steps per second, MiB) into the queue, or what went wrong."""
    try:
        told.put(_trained(size, torch.device(where), share, seconds, ready))
    except Exception as error:
        ready.abort()
        told.put(repr(error))


def _trained(size: Size, device: torch.device, share: float, seconds: float, ready: Any) -> tuple[float, float | None]:
    torch.set_num_threads(1)
    if device.type == "cuda":
        take_share(share)
    dataset = made(size)
    model = models.model_class(MODEL)(models.configure(MODEL, {}, "check"), dataset.n_users, dataset.n_items)
    taken = steps(model.to(device), dataset)  # type: ignore[attr-defined]
    next(taken)  # the first is slow
    now(device)
    ready.wait(START_SECONDS)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        next(taken)
        count += 1
    rate = count / (now(device) - began)
    return rate, torch.cuda.max_memory_reserved(device) / 2**20 if device.type == "cuda" else None
