"""One live driver per study: two would hand out each other's trials."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path

from unblur.errors import UserError
from unblur.search.lease import busy, leased
from unblur.search.storage import parse


def driving(url: str, name: str) -> AbstractContextManager[Callable[[], None]]:
    """Hold study `name` in the database at `url` for this process; raises UserError when another one does.

    Gives a function that makes sure of the hold and raises RunFailed when it is lost. Whatever way a driver ends, its
    hold ends with it: the kernel lets go of a file, and a lease in a server's database runs out.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return locked(Path(str(parsed.database)).with_name(f"{name}.lock"), name)
    return leased(parsed, name, _me())


def alone(name: str, root: str, local: Path) -> AbstractContextManager[Callable[[], None]]:
    """Hold what has no database, `name` below the storage `root`; raises UserError when another process does.

    The file lies beside the prepared data in `local`, as a bucket knows no locks.
    """
    mark = sha256(root.encode()).hexdigest()[:8]
    return locked(local / "locks" / f"{name.replace(' ', '-')}-{mark}.lock", name)


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def locked(path: Path, name: str) -> Iterator[Callable[[], None]]:
    """Hold the file `path` for this process; raises UserError when another one does, or when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise UserError(f"cannot write {path} (--storage): {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise busy(name, file.read().strip() or "another process") from None
        file.truncate(0)
        file.write(_me())
        file.flush()
        yield lambda: None
