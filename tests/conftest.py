"""Fixtures for every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# the matrices here are small, and threads that wait for each other on busy cores take many times as long
os.environ.setdefault("OMP_NUM_THREADS", "1")


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

    already = ray.is_initialized()
    if not already:
        ray.init(num_cpus=2, object_store_memory=100 << 20, log_to_driver=False, logging_level="ERROR")
    yield
    if not already:
        ray.shutdown()
