"""What the cluster's autoscaler may bring up. Ray does not publish it, so it is read where the autoscaler reads it."""

import os
from pathlib import Path
from typing import Any

import ray
import yaml

Node = dict[str, float]
"""A node's resources: {"CPU": 8, "GPU": 1, ...}."""
MAX_NODES = 1000
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def reachable_nodes() -> list[Node]:
    """All worker nodes that the autoscaler may have at a time; none without one, or when its limits are unknown."""
    try:
        return nodes_of(_from_kubernetes() if "KUBERNETES_SERVICE_HOST" in os.environ else _from_file())
    except Exception:  # a cluster that cannot be asked is taken as it is: whatever fails here must not end a search
        return []


def nodes_of(config: dict[str, Any]) -> list[Node]:
    """The worker nodes that an autoscaler's configuration allows."""
    limit = min(int(config.get("max_workers", MAX_NODES)), MAX_NODES)
    kinds = config["available_node_types"].values()
    nodes = [dict(kind["resources"]) for kind in kinds for _ in range(min(int(kind.get("max_workers", 0)), limit))]
    return nodes[:limit]


def config_file(gcs_address: str) -> Path:
    """The file of the cluster's autoscaler, from the command line of its process, which runs beside the head."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = process.read_text(errors="replace").split("\0")
        except OSError:  # it has just ended, or is somebody else's
            continue
        flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments if "=" in argument)
        if flags.get("gcs-address") == gcs_address and "autoscaling-config" in flags:
            return Path(flags["autoscaling-config"]).expanduser()
    raise FileNotFoundError("no autoscaler with a file of its own runs here")


def _from_file() -> dict[str, Any]:
    text = config_file(ray.get_runtime_context().gcs_address).read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def _from_kubernetes() -> dict[str, Any]:
    """KubeRay's autoscaler reads the RayCluster object, and so may the head's pod, by the same service account."""
    from ray.autoscaler._private.kuberay import autoscaling_config, node_provider

    client = node_provider.KubernetesHttpApiClient(namespace=NAMESPACE.read_text().strip())
    cluster = client.get(f"rayclusters/{os.environ['RAY_CLUSTER_NAME']}")
    config: dict[str, Any] = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    return config
