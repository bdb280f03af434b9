"""What tests of several folders share."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = Path(__file__).parent


def driver_environment() -> dict[str, str]:
    """The environment of a driver in this folder that is started as a process of its own: it finds `tests`."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
