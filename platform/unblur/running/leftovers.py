"""Temporary folders that a driver could not remove, because it was killed: the next start on the machine does."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "driver.lock"
"""Held as long as the driver lives, in whatever container: the kernel lets go of it when the driver dies."""


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep a folder from `sweep`; if the driver dies in the block it is left to be swept, and otherwise stays."""
    made = folder / f".{LOCK}-{os.getpid()}"
    with made.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        made.rename(folder / LOCK)  # a lock that can be found is held
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / LOCK).unlink()


def sweep(folders: Iterable[Path]) -> list[Path]:
    """Remove those of the folders that a driver of this user's was using when it died; these are returned."""
    return [folder for folder in folders if _left(folder) and _removed(folder)]


def _left(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r+") as handle:
            if os.fstat(handle.fileno()).st_uid != os.getuid() or folder.is_symlink():
                return False
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:  # none of ours, somebody else's, or in use
        return False


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
