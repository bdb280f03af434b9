"""A cluster of one node as a person starts it: `ray start --head` with token authentication, jobs by `ray job`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.jobs import ROOT, environment
from unblur.processes import free_ports

RAY = str(Path(sys.executable).with_name("ray"))
AT_ONCE = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
"""A node that is told to end drains for half a minute first; nothing runs on these."""
PATIENT = {"RAY_JOB_STOP_WAIT_TIME_S": "60"}
"""`ray job stop` kills a job after 3 s, which may be too soon on a machine that does other things as well."""


class Head:
    """`ray start --head` in the repository's root, by somebody whose home is `home`; `stop` ends it by its own id."""

    def __init__(self, home: Path) -> None:
        gcs, dashboard, agent, client = free_ports(4)
        self.address, self.gcs = f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}"
        # a folder of its own, or other drivers on this machine would find the cluster and join it; short, for sockets
        self.scratch = Path(f"/tmp/ray-{gcs}")
        self.environment = {**environment(), "HOME": str(home), "RAY_AUTH_MODE": "token"}
        self.call("get-auth-token", "--generate")
        ports = [f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
        ports += [f"--dashboard-agent-listen-port={agent}"]  # a second head's agent does not come up on the usual one
        self.process = subprocess.Popen(
            [RAY, "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1", *ports],
            cwd=ROOT,
            env={**self.environment, **AT_ONCE, **PATIENT, "RAY_TMPDIR": str(self.scratch)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(dashboard)
            self._wait_for_agent()
        except TimeoutError:
            self.stop()
            raise

    def _wait_for_agent(self) -> None:
        for _ in range(20):  # it takes the jobs, and comes up later than the dashboard
            if not self.call("job", "submit", "--address", self.address, "--", "true").returncode:
                return
        raise TimeoutError("the head takes no jobs")

    def call(self, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
        """The `ray` command line, with changes of the environment."""
        return subprocess.run(
            [RAY, *map(str, arguments)],
            cwd=ROOT,
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            timeout=500,
        )

    def submit(self, *flags: object, name: str, wait: bool = True, **changes: str) -> subprocess.CompletedProcess[str]:
        """`ray job submit -- python jobs/tune.py FLAGS`."""
        how = ["--address", self.address, "--submission-id", name, *([] if wait else ["--no-wait"])]
        return self.call("job", "submit", *how, "--", "python", "jobs/tune.py", *flags, **changes)

    def job(self, what: str, *name: str) -> str:
        """What `ray job list|logs|status|stop` says."""
        done = self.call("job", what, "--address", self.address, *name)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.scratch, ignore_errors=True)


def wait_for(port: int) -> None:
    for _ in range(3000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
