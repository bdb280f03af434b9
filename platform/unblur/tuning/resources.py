"""What a trial needs against what the cluster has: how many trials run at a time, or why none can."""

from collections.abc import Sequence
from pathlib import Path

import ray
import yaml

from unblur.errors import UserError
from unblur.training.distributed import Resources

BOOTSTRAP_FILE = Path.home() / "ray_bootstrap_config.yaml"
MAX_NODES = 1000

Node = dict[str, float]
"""A node's resources: {"CPU": 8, "GPU": 1, ...}."""


def capacity(needs: Resources, nodes: Sequence[Node]) -> int:
    """How many trials fit on `nodes` at a time; a trial's workers may lie on several nodes.

    Raises UserError, with the arithmetic, when not even one does.
    """
    places = sum(_workers_on(node, needs) for node in nodes)
    if places >= needs.workers:
        return places // needs.workers
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
    return int(min((node.get(kind, 0) // amount for kind, amount in needs.per_worker.items()), default=needs.workers))


def cluster_nodes() -> list[Node]:
    """The nodes that Ray is connected to or, where the autoscaler's limits are known and higher, those it may reach.

    `ray up` leaves its cluster file on the head node; other autoscalers do not publish their limits.
    """
    alive = [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]
    return max(alive, autoscaler_nodes(BOOTSTRAP_FILE), key=lambda nodes: sum(node.get("CPU", 0) for node in nodes))


def autoscaler_nodes(path: Path) -> list[Node]:
    """All nodes that a Ray cluster file allows; none if there is no such file."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        kinds = config["available_node_types"].values()
        limit = int(config.get("max_workers", MAX_NODES)) + 1
        nodes = [dict(kind["resources"]) for kind in kinds for _ in range(min(int(kind.get("max_workers", 0)), limit))]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return []
    return nodes[: min(limit, MAX_NODES)]


def concurrency(needs: Resources, wanted: int | None = None) -> int:
    """How many trials to run at a time: what the cluster can give, or `wanted` if that is less.

    Raises UserError when no trial can ever run.
    """
    possible = capacity(needs, cluster_nodes())
    return possible if wanted is None else min(wanted, possible)
