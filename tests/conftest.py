"""Fixtures for every test."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; tests that use it are skipped without one."""
    folder = os.environ.get("UNBLUR_DATA_DIR")
    if not folder:
        pytest.skip("UNBLUR_DATA_DIR is not set")
    return Path(folder).resolve()
