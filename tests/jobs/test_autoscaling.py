"""A search on a cluster that has nothing but a head: workers come for it and go after it."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray._raylet import GcsClient
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from tests.helpers.jobs import command, environment
from tests.helpers.ray_head import AT_ONCE, RAY, wait_for

from unblur.processes import free_ports

pytestmark = pytest.mark.slow
IDLE_SECONDS = 5
UNUSED = [
    *("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands"),
    *("head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
]
"""What the autoscaler wants to find in a cluster file, though it needs none of it here."""


class Elastic:
    """A head without CPUs and Ray's own fake provider, which starts each worker as a process."""

    def __init__(self, folder: Path, workers: int) -> None:
        gcs, dashboard, agent, client = free_ports(4)
        self.address, self.scratch = f"127.0.0.1:{gcs}", Path(f"/tmp/ray-{gcs}")
        types = {
            "ray.head.default": {"resources": {"CPU": 0}, "min_workers": 0, "max_workers": 0, "node_config": {}},
            "worker": {"resources": {"CPU": 1}, "min_workers": 0, "max_workers": workers, "node_config": {}},
        }
        config = {
            "cluster_name": "fake",
            "max_workers": workers,
            "file_mounts_sync_continuously": False,
            "provider": {
                "type": "fake_multinode",
                "head_node_id": "f" * 56,
                "gcs_address": self.address,
                "launch_multiple": True,
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
            },
            "idle_timeout_minutes": IDLE_SECONDS / 60,
            "upscaling_speed": 100,
            "head_node_type": "ray.head.default",
            "available_node_types": types,
            "auth": {},
            "file_mounts": {},
            **{key: [] for key in UNUSED},
        }
        (folder / "autoscaler.json").write_text(json.dumps(config))
        flags = [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}", "--num-cpus=0"]
        flags += [f"--dashboard-agent-listen-port={agent}"]
        flags += [f"--autoscaling-config={folder / 'autoscaler.json'}", "--node-ip-address=127.0.0.1"]
        self.log = (folder / "head.log").open("wb")
        self.process = subprocess.Popen(
            [RAY, "start", "--head", "--block", f"--temp-dir={self.scratch}", *flags],
            env={**environment(), **AT_ONCE, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        try:
            wait_for(dashboard)
        except TimeoutError:
            self.stop()
            raise

    def workers(self) -> tuple[int, int]:
        """How many workers are up, and how many ever were."""
        nodes = GcsClient(address=self.address).get_all_node_info(timeout=30).values()
        workers = [node.state for node in nodes if not node.is_head_node]
        return workers.count(GcsNodeInfo.ALIVE), len(workers)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.log.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Elastic]:
    elastic = Elastic(tmp_path, workers=2)
    yield elastic
    elastic.stop()


def test_workers_come_for_a_search_and_go_after_it(
    cluster: Elastic, tmp_path: Path, data_flags: list[str], space: Path
) -> None:
    assert cluster.workers() == (0, 0)
    plan = ["--trials", 6, "--epochs", 200, "--eval-every", 20, "--seeds", 1, "--summary", "s.json"]
    done = subprocess.run(
        command("tune", *data_flags, "--search-space", space, *plan, "--trainer", "local"),
        cwd=tmp_path,
        env={**environment(), "RAY_ADDRESS": cluster.address},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 at a time" in done.stdout, "what the autoscaler could give, not what was up"
    told: dict[str, Any] = json.loads((tmp_path / "s.json").read_text())
    assert sum(told["trials"].values()) == 6
    deadline = time.monotonic() + 600
    while (up := cluster.workers())[0] > 0:
        assert time.monotonic() < deadline, up
        time.sleep(1)
    assert up[1] >= 2, "one for each place; more where one went between the search and the retrains and came again"
