"""The image and the cluster on AWS without a cloud: what can be known of them before someone pays for a machine."""

import re
import shlex
from typing import Any

import click
import yaml
from cfnlint import api as cfnlint
from cfnlint.decode import decode
from mlflow.cli import server
from ray.autoscaler._private.aws.config import DEFAULT_AMI
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start
from tests.helpers import ROOT

from unblur.running.autoscaler import nodes_of
from unblur.running.resources import Resources, capacity

PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line.count("==") == 1)
BASE = f"rayproject/ray:{PINNED['ray']}-py311-gpu"
SERVICES = ROOT / "examples/aws/services.yaml"
SECRETS = r"AKIA|BEGIN [A-Z ]*KEY|postgresql://\w+:\w|MasterUserPassword: (?!.*resolve:secretsmanager)"
DATA = {".gz", ".zip", ".parquet", ".npy", ".npz", ".db", ".dat", ".safetensors"}


def cluster() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    return config


def commands(program: str, key: str = "") -> list[list[str]]:
    """The arguments of each command of a program in `ray_cluster.yaml` [under a key], as a shell splits them."""
    lines = [line for name, lines in cluster().items() if name.endswith(key or "_commands") for line in lines]
    return [shlex.split(part.partition(program)[2]) for line in lines for part in line.split("&&") if program in part]


def parsed(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """The options as the program itself reads them; an error of click for one that it does not know."""
    shell = next((place for place, word in enumerate(arguments) if word in (">", "<", "2>&1")), None)
    return command.make_context("test", arguments[:shell]).params


def instructions(word: str) -> list[str]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in text.splitlines() if line.startswith(f"{word} ")]


def test_the_gpu_workers_are_on_spot_and_come_from_none() -> None:
    config = prepare_config(cluster())
    validate_config(config)
    worker, head = (config["available_node_types"][kind] for kind in ("gpu_spot", "head"))
    assert worker["min_workers"] == 0 and worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in head["node_config"] and config["idle_timeout_minutes"] == 5
    assert capacity(Resources(gpus=0.25), nodes_of(config)) == 4 * config["max_workers"]


def test_machine_and_image_are_named_and_current() -> None:
    for kind in cluster()["available_node_types"].values():
        image = kind["node_config"]["ImageId"]  # Ray's own table is of Ubuntu 18.04, whose glibc torch does not run on
        assert re.fullmatch(
            r"resolve:ssm:/aws/service/deeplearning/ami/x86_64/[\w.-]+-ubuntu-24.04/latest/ami-id", image
        )
        assert image not in DEFAULT_AMI.values()
    assert cluster()["docker"]["image"] == BASE


def test_versions_are_pinned_and_boto3_is_there_for_the_autoscaler() -> None:
    installs = commands("pip install", "setup_commands")
    assert all(install[install.index("--constraint") + 1] == "constraints.txt" for install in installs)
    assert [install[-1] for install in installs] == [f"torch=={PINNED['torch']}", ".[aws,serve,energy]"]


def test_every_command_has_flags_that_its_program_knows() -> None:
    starts = [parsed(start, arguments) for arguments in commands("ray start")]
    assert [bool(asked["head"]) for asked in starts] == [True, False]
    assert starts[0]["dashboard_host"] == "127.0.0.1" and starts[1]["address"] == "$RAY_HEAD_IP:6379"
    assert "--env RAY_AUTH_MODE=token" in cluster()["docker"]["run_options"]


def test_what_mlflow_keeps_is_not_on_a_node() -> None:
    (arguments,) = commands("mlflow server")
    asked = parsed(server, arguments)
    assert asked["host"] == "127.0.0.1"
    assert asked["backend_store_uri"].startswith("postgresql://") and asked["artifacts_destination"].startswith("s3://")


def test_the_services_are_what_cloudformation_expects() -> None:
    found = cfnlint.lint(SERVICES.read_text(), regions=[cluster()["provider"]["region"]])
    assert not found, "\n".join(str(match) for match in found)
    assert not re.search(r"[&*]\w+$", SERVICES.read_text(), re.MULTILINE), "CloudFormation has no aliases"


def test_head_and_workers_have_rights_and_one_closed_group() -> None:
    template, _ = decode(str(SERVICES))
    resources = template["Resources"]
    profiles = {
        each["Properties"]["InstanceProfileName"]: [role["Ref"] for role in each["Properties"]["Roles"]]
        for each in resources.values()
        if each["Type"] == "AWS::IAM::InstanceProfile"
    }
    kinds = cluster()["available_node_types"]
    assert {kind["node_config"]["IamInstanceProfile"]["Name"] for kind in kinds.values()} == set(profiles)
    for roles in profiles.values():
        assert all({"Ref": "UseBucket"} in resources[role]["Properties"]["ManagedPolicyArns"] for role in roles)
    open_to = [rule["CidrIp"] for rule in resources["Nodes"]["Properties"]["SecurityGroupIngress"]]
    assert open_to == [{"Ref": "MyAddress"}], "SSH from one address, and nothing else from outside"
    stays = {name for name, each in resources.items() if each.get("DeletionPolicy")}
    assert stays == {"Bucket", "Database"}
    assert not resources["Database"]["Properties"]["PubliclyAccessible"]
    placeholders = {output["Description"] for output in template["Outputs"].values()}
    assert placeholders == set(re.findall(r"YOUR-[A-Z-]+", "\n".join(map(str, cluster().values()))))


def test_secrets_are_referred_to() -> None:
    mounts = cluster()["file_mounts"]
    assert mounts["/home/ray/.ray/auth_token"] == "~/.ray/auth_token" and mounts["/home/ray/.pgpass"]
    for file in (ROOT / "ray_cluster.yaml", ROOT / "ray_cluster.kuberay.yaml", *(ROOT / "examples").rglob("*.yaml")):
        text = file.read_text()
        assert not re.search(SECRETS, text), file


def test_the_image_is_built_on_a_pinned_base_by_a_user_and_holds_no_data() -> None:
    assert instructions("FROM") == [BASE]
    assert instructions("USER") == ["1000"], "nothing in it runs, or is installed, by root"
    installs = [shlex.split(line) for line in instructions("RUN") if line.startswith("pip install")]
    assert all(install[install.index("--constraint") + 1] == "constraints.txt" for install in installs)
    assert [install[-1] for install in installs] == [f"torch=={PINNED['torch']}", ".[aws,serve,energy]"]
    assert not instructions("ADD") and not instructions("ENV") and not instructions("ARG")


def test_only_what_is_copied_goes_to_the_builder() -> None:
    copies = [shlex.split(line) for line in instructions("COPY")]
    assert all(copy[0] == "--chown=1000:100" for copy in copies)
    copied = {source for copy in copies for source in copy[1:-1]}
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in let_in if line and not line.startswith("#")]
    assert rules[0] == "*" and {line[1:] for line in rules if line[0] == "!"} == copied
    assert all((ROOT / source).exists() for source in copied)
    assert copied.isdisjoint({".git", ".venv", "unblur-runs", "mlflow.db", "tests", "docs"})
    large = [file for folder in copied for file in (ROOT / folder).rglob("*") if file.suffix in DATA]
    assert not large, large
