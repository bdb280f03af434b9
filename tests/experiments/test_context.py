"""A job that is told to end while Ray is up closes what it has open."""

import os
import subprocess
import sys

JOB = """
import os, signal, time
from unblur.experiments.context import ray_cluster

with ray_cluster():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10_000)
    except KeyboardInterrupt:
        print("closed")
"""


def test_sigterm_is_as_good_as_ctrl_c() -> None:
    where = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    done = subprocess.run([sys.executable, "-c", JOB], env=where, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["closed"]), done.stderr
