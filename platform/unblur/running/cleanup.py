"""What trainings leave on the disk: how much that may be, and its removal when it is of no more use."""

from collections.abc import Callable
from typing import Any

from pyarrow import fs

from unblur.files import filesystem, under
from unblur.running.trainable import Work
from unblur.training.checkpoints import Checkpoints
from unblur.training.record import State
from unblur.training.report import Progress

STATES = 4
"""A checkpoint holds the weights, the best weights so far, and Adam's two moments."""
KEPT = 2
"""Checkpoints of a training; while one is written there is one more."""


class Janitor:
    """A listener that deletes the checkpoints of each trial that has ended, whatever it was worth."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def started(self, number: int, params: dict[str, Any]) -> None:
        """Nothing yet."""

    def progressed(self, number: int, progress: Progress) -> None:
        """Nothing yet."""

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self.work.clean(number)


def sweep(folder: str, keep: Callable[[int], bool]) -> None:
    """Delete the trainings in `folder` that need not be kept: a driver that died could not do it itself."""
    files, root = filesystem(folder)
    for found in files.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if found.base_name.isdecimal() and not keep(int(found.base_name)):
            Checkpoints(under(folder, found.base_name)).clear()


def projected(weights: int, concurrency: int, seeds: int) -> int:
    """Bytes on the disk at most: all running trainings' checkpoints, and a saved model for each seed."""
    return concurrency * (KEPT + 1) * STATES * weights + seeds * weights
