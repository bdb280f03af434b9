"""One live driver per study: two would hand out each other's trials."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from unblur.errors import UserError
from unblur.search.storage import CONNECT_SECONDS, parse, reason_of


def driving(url: str, name: str) -> AbstractContextManager[None]:
    """Hold study `name` in the database at `url` for this process; raises UserError when another one does.

    Whatever way a driver ends, its hold ends with it: the kernel or the database server lets go.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _file_lock(Path(str(parsed.database)).with_name(f"{name}.lock"), name)
    return _database_lock(parsed, name)


def _busy(name: str, holder: str) -> UserError:
    return UserError(f"the search {name} is already being driven by {holder}; stop it or let it end")


@contextmanager
def _file_lock(path: Path, name: str) -> Iterator[None]:
    try:
        file = path.open("a+")
    except OSError as error:
        raise UserError(f"cannot write {path} (--storage): {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _busy(name, file.read().strip() or "another process") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


@contextmanager
def _database_lock(url: URL, name: str) -> Iterator[None]:
    key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
    mine = f"process {os.getpid()} on {socket.gethostname()}"
    connect = {"connect_timeout": CONNECT_SECONDS, "application_name": f"unblur {mine}"}
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect)
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        raise UserError(f"cannot lock the study (--study-url): {reason_of(error)}") from None
    with connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            raise _busy(name, _holder(connection, key))
        yield


def _holder(connection: Connection, key: int) -> str:
    query = (
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE locktype = 'advisory' AND granted AND ((classid::bigint << 32) | objid::bigint) = :key"
    )
    name = connection.scalar(text(query), {"key": key})
    return str(name).removeprefix("unblur ") if name else "another process"
