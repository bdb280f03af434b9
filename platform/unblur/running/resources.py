"""What a trial needs against what the cluster has: how many trials run at a time, or why none can."""

from collections.abc import Sequence

import ray

from unblur.errors import UserError
from unblur.running.autoscaler import Node, reachable_nodes
from unblur.running.ray_train import Resources

HEAD = "node:__internal_head__"
ROUNDING = 1e-9
"""Of floating point: 1 // 0.1 is 9."""


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
