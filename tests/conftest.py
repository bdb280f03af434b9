"""Fixtures for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# the matrices here are small, and threads that wait for each other on busy cores take many times as long
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("FORCE_COLOR", None)  # lines are compared
os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # the servers of the tests are on loopback

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def no_mlflow_of_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of the tests before: MLflow writes what it is told into the environment."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; tests that use it are skipped without one."""
    folder = os.environ.get("UNBLUR_DATA_DIR")
    if not folder:
        pytest.skip("UNBLUR_DATA_DIR is not set")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    import ray

    from unblur.running.cluster import WORKERS_ENVIRONMENT
    from unblur.running.tune_run import kept

    already = ray.is_initialized()
    if not already:
        ray.init(
            address="local",
            include_dashboard=False,  # nothing that runs here drives Ray Train
            num_cpus=1,  # each training is a process that imports torch: one does what two do
            object_store_memory=100 << 20,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env=WORKERS_ENVIRONMENT,
            # otherwise a busy machine, which hears of a process's death late, takes it for one that cannot be reached
            _system_config={"timeout_ms_task_wait_for_death_info": 60_000},
        )
    with kept():
        yield
    if not already:
        ray.shutdown()
