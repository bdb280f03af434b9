"""The cluster files without a cloud: what can be known of them before someone pays for a machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

from unblur.running.autoscaler import nodes_of
from unblur.running.resources import Resources, capacity

ROOT = Path(__file__).resolve().parents[2]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line.count("==") == 1)
TORCH = f"torch=={PINNED['torch'].partition('+')[0]}" if "torch" in PINNED else "torch==2.13.0"
SECRET = ("KEY", "PASSWORD", "TOKEN", "SECRET", "STORE_URI")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def kuberay() -> dict[str, Any]:
    cluster: dict[str, Any] = yaml.safe_load(text("ray_cluster.kuberay.yaml"))
    return cluster


def pods() -> list[dict[str, Any]]:
    spec = kuberay()["spec"]
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def containers() -> list[dict[str, Any]]:
    return [container for pod in pods() for container in pod["containers"]]


def test_on_aws_the_gpu_workers_are_on_spot_and_come_from_none() -> None:
    config = prepare_config(yaml.safe_load(text("ray_cluster.yaml")))
    validate_config(config)
    worker, head = (config["available_node_types"][kind] for kind in ("gpu_spot", "head"))
    assert worker["min_workers"] == 0 and worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in head["node_config"] and config["idle_timeout_minutes"] == 5
    assert capacity(Resources(gpus=0.25), nodes_of(config)) == 4 * config["max_workers"]


def test_on_aws_versions_are_pinned_and_ray_asks_for_its_token() -> None:
    config = yaml.safe_load(text("ray_cluster.yaml"))
    installs = [part for line in config["setup_commands"] for part in line.split("&&") if "pip install" in part]
    assert installs and all("-c constraints.txt" in install for install in installs)
    assert any(TORCH in install for install in installs)
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)
    assert all("--host 127.0.0.1" in command for command in starts if "mlflow server" in command)


def test_kuberay_scales_the_gpu_workers_from_none() -> None:
    cluster = kuberay()
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert cluster["spec"]["enableInTreeAutoscaling"] and cluster["spec"]["authOptions"] == {"mode": "token"}
    derived = _derive_autoscaling_config_from_ray_cr(cluster)
    validate_config(derived)
    workers = derived["available_node_types"]["gpu-spot"]
    assert (workers["min_workers"], workers["max_workers"]) == (0, 8)
    assert {kind: workers["resources"][kind] for kind in ("CPU", "GPU")} == {"CPU": 8, "GPU": 1}
    assert derived["available_node_types"]["headgroup"]["resources"]["GPU"] == 0


def test_kuberay_pods_get_what_ray_is_told_they_have() -> None:
    spec = kuberay()["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert group["rayStartParams"]["num-cpus"] == limits["cpu"]
        assert group["rayStartParams"]["num-gpus"] == limits.get("nvidia.com/gpu", "0")
    for container in containers():
        assert container["resources"]["requests"] == container["resources"]["limits"], "no surprise evictions"
    head, *workers = (pod["nodeSelector"]["karpenter.sh/capacity-type"] for pod in pods())
    assert head == "on-demand" and set(workers) == {"spot"}


def test_kuberay_has_one_image_with_the_pinned_ray() -> None:
    assert kuberay()["spec"]["rayVersion"] == PINNED["ray"]
    assert {container["image"].rpartition(":")[2] for container in containers()} == {f"ray-{PINNED['ray']}"}
    assert f"rayproject/ray:{PINNED['ray']}-py311-gpu" in text("ray_cluster.kuberay.yaml")
    assert TORCH in text("ray_cluster.kuberay.yaml")


def test_kuberay_refers_to_secrets_and_binds_mlflow_to_loopback() -> None:
    for container in containers():
        for variable in container["env"]:
            if any(part in variable["name"] for part in SECRET):
                assert "value" not in variable and "secretKeyRef" in variable["valueFrom"]
    mlflow = next(container for container in containers() if container["name"] == "mlflow")
    assert mlflow["command"][mlflow["command"].index("--host") + 1] == "127.0.0.1"
    assert kuberay()["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_on_aws_secrets_are_referred_to_and_the_firewall_is_described() -> None:
    config, comments = yaml.safe_load(text("ray_cluster.yaml")), text("ray_cluster.yaml").partition("cluster_name:")[0]
    assert any("mlflow server" in command for command in config["head_start_ray_commands"])
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    assert "Security group" in comments and "instance profile" in comments and ".pgpass" in comments


@pytest.mark.parametrize("name", ["ray_cluster.yaml", "ray_cluster.kuberay.yaml"])
def test_no_line_is_a_secret(name: str) -> None:
    assert "AKIA" not in text(name) and "BEGIN" not in text(name)
