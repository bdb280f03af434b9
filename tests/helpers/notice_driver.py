"""A Ray Train trial whose machine leaves with notice: python notice_driver.py FOLDER. Prints `left` when it has.

Two workers on two machines; FOLDER/told has a line for each start and each checkpoint: what, epoch, machine. The same
trial is then trained undisturbed, in FOLDER/undisturbed.
"""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from tests.helpers.synthetic import communities
from tests.helpers.toy_study import identity
from unblur.experiments.search_trials import SearchTrials
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.running.work import Listener
from unblur.search.space import SearchSpace
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.loop import TrainingSchedule
from unblur.training.record import State
from unblur.training.report import Progress

MEMORY = 100 << 20
NOTICE = 10
"""Seconds between the notice and the end of the machine; a training there takes longer than these."""
LEAVING = "leaving"
"""The resource by which a worker knows that its machine will leave."""
TOLD = "UNBLUR_TOLD"
TRIAL = {"parameters": {"lr": {"type": "float", "low": 1e-3, "high": 1e-2}}, "fixed": {"dims": [16], "batch_size": 50}}
PLAN = TrainingSchedule(epochs=40, eval_every=1, patience=40)


def tell_of_checkpoints() -> None:
    """In every process: tell of starts and checkpoints, write none by the clock, and be slow on the leaving machine."""
    from unblur.training import loop
    from unblur.training.checkpoints import Checkpoint, Checkpoints

    def tell(what: str, epoch: int) -> None:
        with Path(os.environ[TOLD]).open("a") as lines:
            lines.write(f"{what} {epoch} {ray.get_runtime_context().get_node_id()}\n")

    def newest(self: Checkpoints, *given: Any, whole: Any = Checkpoints.newest) -> Checkpoint | None:
        found: Checkpoint | None = whole(self, *given)
        tell("started", found.epoch if found else 0)
        return found

    def save(self: Checkpoints, checkpoint: Checkpoint, whole: Any = Checkpoints.save) -> None:
        whole(self, checkpoint)
        tell("saved", checkpoint.epoch)

    def validate(self: loop.Training, whole: Any = loop.Training._validate) -> Any:
        node = ray.get_runtime_context().get_node_id()
        time.sleep(float(any(LEAVING in each["Resources"] for each in ray.nodes() if each["NodeID"] == node)))
        return whole(self)

    loop.CHECKPOINT_SECONDS = 1e9
    Checkpoints.newest, Checkpoints.save, loop.Training._validate = newest, save, validate


class Notice(Listener):
    """A listener that gives notice to a machine after the first report, brings another, and takes the first away."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.deadline = cluster, 0.0
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        self.leaving = cluster.add_node(num_cpus=1, object_store_memory=MEMORY, resources={LEAVING: 1})

    def started(self, number: int, params: dict[str, Any]) -> None:
        """Nothing yet."""

    def progressed(self, number: int, progress: Progress) -> None:
        if not self.deadline:
            self.deadline = time.time() + NOTICE
            when, why = int(self.deadline * 1000), DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
            taken, message = GcsClient(address=self.cluster.address).drain_node(self.leaving.node_id, why, "spot", when)
            assert taken, message
            self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        elif self.leaving and time.time() > self.deadline:
            self.cluster.remove_node(self.leaving, allow_graceful=False)
            print("left", self.leaving.node_id, flush=True)
            self.leaving = None

    def ended(self, number: int, state: State, reason: str | None) -> None:
        """Nothing yet."""


def study_in(folder: Path) -> Study:
    space = SearchSpace.model_validate({"model": "cfg_diffrec", **TRIAL})
    return Study.open(identity(space=space, model="cfg_diffrec"), local_url(folder))


def search_in(folder: Path, *listeners: Notice) -> None:
    source = SearchTrials(study_in(folder), 1, PLAN, str(folder / "trials"))
    Execution(Resources(workers=2), "ray").run(source, {"": communities()}, listeners)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    polls = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2", "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.2"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    notice = Notice(cluster)
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={
            "env_vars": {**polls, TOLD: str(folder / "told")},
            "worker_process_setup_hook": tell_of_checkpoints,
        },
    )
    search_in(folder, notice)
    search_in(folder / "undisturbed")
    ray.shutdown()
    cluster.shutdown()
