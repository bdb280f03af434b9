"""`--gpus-per-worker auto`: how much of a GPU each training gets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unblur.formatting import gigabytes
from unblur.running.autoscaler import Node
from unblur.running.resources import ROUNDING, Resources, trials_on
from unblur.training.memory import CUDA_CONTEXT

SAFETY = 1.5
"""The estimates count tensors. Blocks that the allocator keeps, the libraries' workspaces and what an estimate misses
come on top."""
UNITS = 10_000
"""Ray counts in ten-thousandths: 6 x 0.1667 would be more than a GPU."""
MOST = 100
"""Trials on one GPU. With more, a whole number of ten-thousandths would no longer say how many."""
SECONDS = 60.0
"""To wait for the GPUs' answer. A worker starts and imports PyTorch in that time, unless the GPUs are taken."""


def choice(needs: Resources, estimate: int, nodes: Sequence[Node], ask: Callable[[], int | None]) -> tuple[float, str]:
    """GPUs for each worker of a model that is trained by gradient, and why.

    needs: the rest of what a training needs. estimate: bytes of the largest configuration. ask: the bytes of a GPU,
    None when nobody knows.
    """
    if not any(node.get("GPU", 0) for node in nodes):
        return 0.0, ""
    whole = replace(needs, gpus=1.0)
    if not trials_on(nodes, whole):
        return 0.0, f"GPUs are not used: no training fits that needs {whole}"
    if needs.workers > 1:
        return 1.0, "each worker gets a GPU of its own"
    memory = ask()
    if memory is None:
        return 1.0, (
            "each trial gets a whole GPU, since no GPU told its memory (none is up yet, all are taken, or PyTorch has "
            "no CUDA there); --gpus-per-worker 0.25 would let four share one"
        )
    needed = with_allowance(estimate)
    places = [node for node in nodes if trials_on([node], whole)]
    share = min(share_of(needed, memory, node["GPU"], node["CPU"], needs.cpus) for node in places)
    return share, told(share, needed, memory)


def with_allowance(estimate: int) -> int:
    """Bytes of a GPU to reckon with for a process whose tensors take `estimate` bytes."""
    return math.ceil(SAFETY * (estimate + CUDA_CONTEXT))


def share_of(memory_needed: int, gpu_memory: int, gpus: float, cpus: float, cpus_per_trial: float) -> float:
    """The share of a GPU of one trial: 1/k, so that k trials share one, in the units that Ray counts in.

    As small as the memory (bytes) allows, but no smaller than the node's `gpus` and `cpus` can use: each trial takes
    CPUs too. A trial that needs more than a GPU gets a whole one.
    """
    by_memory, by_cpus = gpu_memory // memory_needed, int(cpus / (gpus * cpus_per_trial) + ROUNDING)
    sharing = max(1, min(by_memory, by_cpus, MOST))
    return (UNITS // sharing) / UNITS


def told(share: float, needed: int, memory: int) -> str:
    """The choice for a person; `needed` and `memory` in bytes."""
    sharing, by_memory = int(1 / share), memory // needed
    what = "a whole GPU" if sharing == 1 else f"1/{sharing} of a GPU"
    about = f"each trial gets {what}: it needs about {gigabytes(needed)} of {gigabytes(memory)}, reserves included"
    if by_memory > sharing:
        return f"{about}; {by_memory} would fit, but each takes CPUs too"
    return about if by_memory else f"{about}; configurations that do not fit will fail"


def gpu_memory() -> int | None:
    """Bytes of the smallest GPU that is up, from Ray's nodes themselves; None when none answers."""
    up = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU", 0)]
    return _asked(tuple(sorted(up)))


@cache  # a command that searches several models asks once
def _asked(nodes: tuple[str, ...]) -> int | None:
    if not nodes:
        return None
    remote = ray.remote(num_cpus=0, num_gpus=1 / UNITS, max_retries=0)(_total_memory)
    placed = [remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)) for node in nodes]
    ready, late = ray.wait([task.remote() for task in placed], num_returns=len(nodes), timeout=SECONDS)
    for reference in late:
        ray.cancel(reference, force=True)
    return min(filter(None, map(_answer, ready)), default=None)


def _answer(reference: "ray.ObjectRef") -> int | None:
    try:
        answer: int = ray.get(reference)
    except ray.exceptions.RayError:  # its node has gone, or its PyTorch does not start: as good as no answer
        return None
    return answer


def _total_memory() -> int:
    """0 without CUDA."""
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
