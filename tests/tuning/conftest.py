"""One Ray cluster for the tests of the search."""

import os
from collections.abc import Iterator

import pytest


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
