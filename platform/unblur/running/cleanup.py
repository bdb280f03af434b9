"""Checkpoints and models on the disk: their projected size, and their deletion when they are of no more use."""

from collections.abc import Callable

from pyarrow import fs

from unblur.files import filesystem, under
from unblur.running.work import Listener
from unblur.training.checkpoints import Checkpoints
from unblur.training.record import State

STATES = 4
"""A checkpoint holds the weights, the best weights so far, and Adam's two moments."""
KEPT = 2
"""Checkpoints of a training; while one is written there is one more."""


class DeleteCheckpoints(Listener):
    """A listener that deletes the folder of each task in `folder` that has ended, however it ended."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def ended(self, number: int, state: State, reason: str | None) -> None:
        Checkpoints(folder_of(self.folder, number)).clear()


def folder_of(folder: str, number: int) -> str:
    """The folder of task `number` in that of all."""
    return under(folder, f"{number:05d}")


def delete_leftovers(folder: str, keep: Callable[[int], bool]) -> None:
    """Delete the tasks' folders in `folder` that need not be kept: a driver that died could not do it itself."""
    files, root = filesystem(folder)
    for found in files.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if found.base_name.isdecimal() and not keep(int(found.base_name)):
            Checkpoints(under(folder, found.base_name)).clear()


def projected(weights: int, concurrency: int, seeds: int) -> int:
    """Bytes on the disk at most: all running trainings' checkpoints, and a saved model for each seed."""
    return concurrency * (KEPT + 1) * STATES * weights + seeds * weights
