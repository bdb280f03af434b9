"""What Ray Train needs of a cluster, and what workers are told."""

import os

import pytest
import ray

from unblur import environment
from unblur.errors import UserError
from unblur.running.ray_train import require_dashboard


def test_a_cluster_without_a_dashboard_is_refused(local_ray: None) -> None:
    """The tests' own has none; with one: tests/running/test_cluster.py."""
    with pytest.raises(UserError, match="start the head with `ray start --head --include-dashboard=true`"):
        require_dashboard()


def test_workers_have_the_variables_that_are_meant_for_them(local_ray: None) -> None:
    # without a CPU, since a training's process that waits for the next test may hold the only one
    found = ray.get(ray.remote(num_cpus=0)(lambda: dict(os.environ)).remote())
    assert found.items() >= environment.RAY_WORKERS.items()
