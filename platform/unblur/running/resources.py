"""Resources of one training, and how many trainings fit on the cluster at a time, or why none does."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray
import torch

from unblur.errors import UserError
from unblur.running.autoscaler import Node, reachable_nodes
from unblur.training.allocator import keep_freed_memory
from unblur.training.memory import take_share

HEAD = "node:__internal_head__"
ROUNDING = 1e-9
"""Of floating point: 1 // 0.1 is 9."""


@dataclass(frozen=True)
class Resources:
    """What one training gets: `workers` processes, each of which fits on one node; a GPU worker needs its CPUs too."""

    workers: int = 1
    cpus: float = 1
    """Of each worker."""
    gpus: float = 0
    """Of each worker."""

    @property
    def per_worker(self) -> dict[str, float]:
        """Ray's names and amounts."""
        needs = {"CPU": self.cpus, "GPU": self.gpus}
        return {kind: amount for kind, amount in needs.items() if amount > 0}

    @property
    def all_cpus(self) -> float:
        """Of all workers."""
        return self.workers * self.cpus

    @property
    def all_gpus(self) -> float:
        """Of all workers."""
        return self.workers * self.gpus

    def settle(self) -> None:
        """Keep this process to what a worker is given: so many threads, a share of the GPU; freed memory is kept."""
        # several trainings share the machine: without a limit each would start a thread for every core
        torch.set_num_threads(max(1, int(self.cpus)))
        take_share(self.gpus)
        keep_freed_memory()

    def __str__(self) -> str:
        workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
        each = self.per_worker.items()
        return " and ".join(f"{workers} x {n:g} {kind}s = {self.workers * n:g} {kind}s" for kind, n in each)


def trials_on(nodes: Sequence[Node], needs: Resources) -> int:
    """How many trials fit on `nodes` at a time; a trial's workers may lie on several nodes."""
    return sum(_workers_on(node, needs) for node in nodes) // needs.workers


def capacity(needs: Resources, nodes: Sequence[Node]) -> int:
    """`trials_on(nodes, needs)`; raises UserError, with the arithmetic, when not even one fits."""
    if trials := trials_on(nodes, needs):
        return trials
    places = sum(_workers_on(node, needs) for node in nodes)
    total = {kind: sum(node.get(kind, 0) for node in nodes) for kind in needs.per_worker}
    largest = max(nodes, key=lambda node: [node.get(kind, 0) for kind in reversed(needs.per_worker)], default={})
    has = " and ".join(f"{largest.get(kind, 0):g} {kind}s" for kind in total)
    in_all = " and ".join(f"{amount:g} {kind}s" for kind, amount in total.items())
    raise UserError(
        f"a trial needs {needs}; the largest node has {has}, all {len(nodes)} together {in_all}, "
        f"on which {places} such worker{'s' * (places != 1)} fit. "
        "Lower --workers-per-trial, --cpus-per-worker or --gpus-per-worker, or add nodes."
    )


def _workers_on(node: Node, needs: Resources) -> int:
    fits = (_times(amount, node.get(kind, 0), kind) for kind, amount in needs.per_worker.items())
    return min(fits, default=needs.workers)


def _times(amount: float, has: float, kind: str) -> int:
    """How often `amount` fits; a part of a GPU lies on one GPU."""
    if kind == "GPU" and amount < 1:
        return int(has) * int(1 / amount + ROUNDING)
    return int(has / amount + ROUNDING)


def cluster_nodes() -> list[Node]:
    """The nodes that the cluster may have: those that are up or, with an autoscaler, the head and all its workers."""
    alive = [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    reachable = reachable_nodes()
    return [node for node in alive if HEAD in node] + reachable if reachable else alive


def concurrency(needs: Resources, wanted: int | None = None) -> int:
    """How many trials to run at a time: what the cluster can give, or `wanted` if that is less.

    Raises UserError when no trial can ever run.
    """
    possible = capacity(needs, cluster_nodes())
    return possible if wanted is None else min(wanted, possible)
