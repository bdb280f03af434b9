"""By what something was made: the package's version and commit, the version of what trainings compute, the machine."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path

import unblur

TRAINING = 2
"""The training version: raised by hand whenever the same data, parameters, schedule and seed come to another result, or
the fields of a search come to mean something else. Studies, cells, shared artefacts and checkpoints of another one are
other ones, and nothing goes on from them."""


def version() -> str:
    """The package's version."""
    return unblur.__version__


CPUINFO = Path("/proc/cpuinfo")
LIBRARIES = ("torch", "numpy", "scipy", "ray", "optuna", "mlflow")
"""Those that compute, search and record."""


def libraries() -> str:
    """Python's version and theirs."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version_of(name)}" for name in LIBRARIES)])


def processor() -> str:
    """The processor's name."""
    return next(iter(cpu_facts("model name")), platform.processor())


def cpu_facts(field: str) -> list[str]:
    """What Linux says of each CPU (`model name`, `flags`, `physical id`); nothing elsewhere."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    told = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in told if name.strip() == field]


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def machine() -> str:
    """This machine in words; not its name, which is nobody's business."""
    return f"{platform.system()}, {os.cpu_count()} CPUs ({processor()}), {memory() / 2**30:.0f} GiB of memory"


@cache
def commit() -> str | None:
    """The checkout's commit that the package lies in, `-dirty` if files differ from it; None outside one.

    None as well where the package lies, untracked, in a checkout of something else.
    """
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
