"""The limits of an autoscaler: from a cluster file, from its process, from Kubernetes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay import node_provider

from unblur.running import autoscaler
from unblur.running.autoscaler import config_file, nodes_of, reachable_nodes
from unblur.running.resources import Resources, capacity

ROOT = Path(__file__).resolve().parents[2]


def test_nodes_of_a_cluster_file() -> None:
    types = {"head": {"resources": {"CPU": 2}}, "gpu": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 5}}
    assert nodes_of({"max_workers": 3, "available_node_types": types}) == [{"CPU": 8, "GPU": 1}] * 3
    assert len(nodes_of({"available_node_types": types})) == 5


def test_the_file_is_found_by_the_process_that_reads_it() -> None:
    flags = ["--gcs-address=10.0.0.1:6379", "--autoscaling-config=~/limits.yaml"]
    command = [sys.executable, "-c", "print(flush=True); input()", *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is up, and its command line to be seen
        assert config_file("10.0.0.1:6379") == Path.home() / "limits.yaml"
        with pytest.raises(FileNotFoundError):
            config_file("10.0.0.2:6379")
        process.communicate(b"\n")


def test_kubernetes_is_asked_for_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = yaml.safe_load_all((ROOT / "ray_cluster.kuberay.yaml").read_text())
    objects = {f"rayclusters/{one['metadata']['name']}": one for one in cluster if one["kind"] == "RayCluster"}

    class Client:
        def __init__(self, namespace: str) -> None:
            assert namespace == "recommenders"

        def get(self, path: str) -> dict[str, Any]:
            return objects[path]

    (tmp_path / "namespace").write_text("recommenders\n")
    monkeypatch.setattr(autoscaler, "NAMESPACE", tmp_path / "namespace")
    monkeypatch.setattr(node_provider, "KubernetesHttpApiClient", Client)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("RAY_CLUSTER_NAME", "unblur")
    assert capacity(Resources(gpus=1), reachable_nodes()) == 8
    monkeypatch.setenv("RAY_CLUSTER_NAME", "another")
    assert reachable_nodes() == []
