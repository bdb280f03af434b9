"""By what something was made: the package's version, its commit, and the version of what trainings compute."""

import subprocess
from functools import cache
from pathlib import Path

import unblur

TRAINING = 1
"""The training version: raised by hand whenever the same data, parameters, schedule and seed come to another result, or
the fields of a search come to mean something else. Studies, cells, shared artefacts and checkpoints of another one are
other ones, and nothing goes on from them."""


def version() -> str:
    """The package's version."""
    return unblur.__version__


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
