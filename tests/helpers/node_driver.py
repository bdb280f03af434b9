"""A search on a cluster that loses machines: python node_driver.py FOLDER TRIALS. Prints `lost` for each."""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from tests.helpers.toy_study import identity, trials
from tests.helpers.toy_values import params, value
from unblur.running.reports import report
from unblur.running.run import run_tasks
from unblur.running.work import Listener
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.report import Progress

LOSSES = {(0, 4), (1, 2), (1, 5), (1, 8)}  # one trial loses more machines than its process might die
MEMORY = 100 << 20


def trial(config: dict[str, Any]) -> None:
    for epoch in range(1, 10):
        report(Progress(epoch, {"ndcg_at_10": value(params(config), epoch)}))
        time.sleep(0.2)


class Storm(Listener):
    """A listener that takes the only worker away, without notice, and brings another."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.left = cluster, set(LOSSES)
        self.node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)

    def progressed(self, number: int, progress: Progress) -> None:
        if (number, progress.epoch) in self.left:
            self.left.remove((number, progress.epoch))
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
            print("lost", flush=True)


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    storm = Storm(cluster)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    study = Study.open(identity(), local_url(Path(sys.argv[1])))
    run_tasks(trial, trials(study, int(sys.argv[2])), slots=1, resources={"CPU": 1}, listeners=[storm])
    ray.shutdown()
    cluster.shutdown()
