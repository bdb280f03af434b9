"""One live driver per study: two would hand out each other's trials."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from unblur.errors import UserError
from unblur.search.lease import busy, leased
from unblur.search.storage import parse


def driving(url: str, name: str) -> AbstractContextManager[Callable[[], None]]:
    """Hold study `name` in the database at `url` for this process; raises UserError when another one does.

    Gives a function that makes sure of the hold and raises RunFailed when it is lost. Whatever way a driver ends, its
    hold ends with it: the kernel lets go of a file, and a lease in a server's database runs out.
    """
    mine = f"process {os.getpid()} on {socket.gethostname()}"
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _file_lock(Path(str(parsed.database)).with_name(f"{name}.lock"), name, mine)
    return leased(parsed, name, mine)


@contextmanager
def _file_lock(path: Path, name: str, mine: str) -> Iterator[Callable[[], None]]:
    try:
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
        file.write(mine)
        file.flush()
        yield lambda: None
