"""The files for Kubernetes without one: schemas of Ray's own, and that everything they refer to is there."""

from collections.abc import Iterator
from typing import Any

import yaml
from mlflow.cli import server
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import validate_config
from tests.helpers import ROOT
from tests.helpers.command_lines import read
from tests.running.test_cluster_files import PINNED, parsed

from unblur.experiments.options import SearchOptions

FOLDER = ROOT / "examples/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
CLUSTER: dict[str, Any] = yaml.safe_load((ROOT / "ray_cluster.kuberay.yaml").read_text())
JOB: dict[str, Any] = yaml.safe_load((FOLDER / "search.yaml").read_text())
SERVICES = [each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text())]
TEMPLATES = {
    each["metadata"]["name"]: each["spec"]["template"] for each in SERVICES if "template" in each.get("spec", {})
}
NAMESPACE = "recommenders"


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in SERVICES if each["kind"] == kind}


def ray_pods() -> list[dict[str, Any]]:
    spec = CLUSTER["spec"]
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def own_pods() -> dict[str, dict[str, Any]]:
    return {name: template["spec"] for name, template in TEMPLATES.items()}


def values(document: Any, name: str) -> Iterator[Any]:
    """Every value that has a name, however deep it lies."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(document, list):
        for each in document:
            yield from values(each, name)


def test_the_gpu_workers_come_from_none() -> None:
    assert (CLUSTER["apiVersion"], CLUSTER["kind"]) == ("ray.io/v1", "RayCluster")
    assert CLUSTER["spec"]["enableInTreeAutoscaling"] and CLUSTER["spec"]["authOptions"] == {"mode": "token"}
    derived = _derive_autoscaling_config_from_ray_cr(CLUSTER)
    validate_config(derived)
    workers = derived["available_node_types"]["gpu-spot"]
    assert (workers["min_workers"], workers["max_workers"]) == (0, 8)
    assert {kind: workers["resources"][kind] for kind in ("CPU", "GPU")} == {"CPU": 8, "GPU": 1}
    assert derived["available_node_types"]["headgroup"]["resources"]["GPU"] == 0


def test_pods_get_what_ray_is_told_they_have() -> None:
    for group in (CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]):
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert group["rayStartParams"]["num-cpus"] == limits["cpu"]
        assert group["rayStartParams"]["num-gpus"] == limits.get("nvidia.com/gpu", "0")
    for container in (each for pod in ray_pods() for each in pod["containers"]):
        assert container["resources"]["requests"] == container["resources"]["limits"], "no surprise evictions"
    head, *workers = (pod["nodeSelector"]["karpenter.sh/capacity-type"] for pod in ray_pods())
    assert head == "on-demand" and set(workers) == {"spot"}


def test_there_is_one_image_with_the_pinned_ray() -> None:
    (own,) = KUSTOMIZATION["images"]
    image = f"{own['newName']}:{own['newTag']}"
    assert image == f"YOUR-REGISTRY/unblur:ray-{PINNED['ray']}" and CLUSTER["spec"]["rayVersion"] == PINNED["ray"]
    assert {each["image"] for pod in ray_pods() for each in pod["containers"]} == {image}
    assert {each["image"] for each in own_pods()["mlflow"]["containers"]} == {own["name"]}
    assert image in (ROOT / "Dockerfile").read_text()


def test_the_folder_holds_no_file_that_nothing_takes_and_all_is_in_one_namespace() -> None:
    files = {file.name for file in FOLDER.iterdir()}
    assert files == {"kustomization.yaml", "search.yaml", *KUSTOMIZATION["resources"]}
    named = {KUSTOMIZATION["namespace"], *(each["metadata"]["namespace"] for each in (CLUSTER, JOB)), *of("Namespace")}
    assert named == {NAMESPACE}


def test_what_is_referred_to_is_there() -> None:
    everything = [CLUSTER, *SERVICES]
    accounts = {each for document in everything for each in values(document, "serviceAccountName")}
    assert accounts == set(of("ServiceAccount"))
    assert {each["claimName"] for each in values(CLUSTER, "persistentVolumeClaim")} <= set(of("PersistentVolumeClaim"))
    assert {each["name"] for each in values(SERVICES, "configMap")} <= set(of("ConfigMap"))
    told = (FOLDER / "kustomization.yaml").read_text()
    for secret in (each for document in everything for each in values(document, "secretKeyRef")):
        assert f"secret generic {secret['name']} " in told and f"--from-literal={secret['key']}=" in told
    for pod in (*ray_pods(), *own_pods().values()):
        claims = {each["metadata"]["name"] for each in values(SERVICES, "volumeClaimTemplates") for each in each}
        volumes = {each["name"] for each in pod.get("volumes", [])} | claims
        assert {each["name"] for mounts in values(pod, "volumeMounts") for each in mounts} <= volumes


def test_pods_are_found_by_services_and_policies() -> None:
    labels = [template["metadata"]["labels"] for template in TEMPLATES.values()]
    ray = {"ray.io/cluster": CLUSTER["metadata"]["name"]}  # KubeRay's own labels
    labels += [ray | {"ray.io/node-type": kind} for kind in ("head", "worker")]
    selectors = [each["spec"]["selector"] for each in of("Service").values()]
    selectors += [each["spec"]["podSelector"].get("matchLabels", {}) for each in of("NetworkPolicy").values()]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


def test_nothing_is_reached_but_by_a_policy_that_says_from_where() -> None:
    policies = of("NetworkPolicy")
    closed = policies.pop("nothing-in")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for policy in policies.values():
        assert all(rule["from"] for rule in policy["spec"]["ingress"])
    assert CLUSTER["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert all(each["spec"].get("type", "ClusterIP") == "ClusterIP" for each in of("Service").values())


def test_no_key_of_aws_is_given_and_every_secret_is_referred_to() -> None:
    for account in of("ServiceAccount").values():
        assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::")
    for document in (CLUSTER, *SERVICES):
        for variable in (each for listed in values(document, "env") for each in listed):
            assert "AWS" not in variable["name"]
            assert "PASSWORD" not in variable["name"] or "secretKeyRef" in variable["valueFrom"]


def test_nothing_runs_as_root() -> None:
    for pod in (*ray_pods(), *own_pods().values()):
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0


def test_mlflow_answers_by_the_names_that_are_used_and_outlives_the_cluster() -> None:
    (container,) = own_pods()["mlflow"]["containers"]
    asked = parsed(server, container["args"])
    assert asked["backend_store_uri"] == "postgresql://unblur@postgres/mlflow"
    assert asked["artifacts_destination"].startswith("s3://")
    assert "mlflow:5000" in asked["allowed_hosts"].split(",") and "*" not in asked["allowed_hosts"].split(",")
    assert "CREATE DATABASE mlflow;" in of("ConfigMap")["postgres-init"]["data"].values()
    environment = {each["name"]: each.get("value") for each in own_pods()["postgres"]["containers"][0]["env"]}
    studies = f"postgresql://{environment['POSTGRES_USER']}@postgres/{environment['POSTGRES_DB']}"
    assert f"--study-url {studies} " in JOB["spec"]["entrypoint"]
    assert "--tracking-uri http://mlflow:5000" in JOB["spec"]["entrypoint"]


def test_the_job_is_for_this_cluster_and_its_flags_are_known() -> None:
    assert JOB["spec"]["clusterSelector"] == {"ray.io/cluster": CLUSTER["metadata"]["name"]}
    assert isinstance(read(JOB["spec"]["entrypoint"]), SearchOptions)
