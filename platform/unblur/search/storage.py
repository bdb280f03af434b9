"""Open the database that holds studies: SQLite in a folder, or PostgreSQL. Credentials are never shown."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import optuna
from sqlalchemy import URL, make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from unblur.errors import RunFailed, UserError
from unblur.redaction import redact, remember
from unblur.search import sqlite_file

CONNECT_SECONDS = 5
RETRY_DELAYS = (0.5, 1, 2, 4, 8, 15, 30)
"""Seconds between attempts while the database is away: a minute in all."""

MAKING_DELAYS = (0.1, 0.2, 0.4, 0.8, 1.6)
MADE_BY_ANOTHER = ("already exists", "unique constraint", "duplicate key")
UNREADABLE = ("could not decode", "malformed", "not a database")
"""In SQLite's words for content that is damaged."""

P = ParamSpec("P")
R = TypeVar("R")


def local_url(folder: Path) -> str:
    """The URL of the SQLite study in a storage folder, which is made if need be; raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the storage folder {folder} (--storage): {error.strerror}") from error
    return f"sqlite:///{folder.resolve() / 'study.db'}"


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None for a server's."""
    parsed = parse(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def shown(url: str) -> str:
    """`url` without its password and query, fit for messages."""
    return parse(url).set(query={}).render_as_string(hide_password=True)


def parse(url: str) -> URL:
    """A database URL in parts; raises UserError, without repeating it, when it is none of ours."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql"):
        # the text itself may hold a password, so it is not repeated
        raise UserError("--study-url is not understood; it reads postgresql://user:password@host:5432/database")
    remember([url, parsed.render_as_string(hide_password=False)])
    return parsed


def connection(url: URL) -> dict[str, object]:
    """The driver's settings: a server that has vanished is noticed, also in the middle of a statement."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 60}
    alive = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
    # a statement prepared in one session of the server is unknown in the next that a pooler gives
    prepared = {"prepare_threshold": None} if url.get_driver_name() == "psycopg" else {}
    return {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": 30_000, **alive, **prepared}


def reason_of(error: BaseException) -> str:
    """The database's own words, on one line and without credentials."""
    while not isinstance(error, SQLAlchemyError) and error.__cause__ is not None:
        error = error.__cause__
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))


@contextmanager
def open_storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """An Optuna storage; what goes wrong with it inside the block becomes a UserError within seconds."""
    parsed = parse(url)
    local = parsed.get_backend_name() == "sqlite"
    setting = "--storage" if local else "--study-url"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        # Optuna takes the URL for a format string
        text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        yield made_once(text, {"connect_args": connection(parsed), "pool_pre_ping": True})
    except (SQLAlchemyError, ImportError, RuntimeError, optuna.exceptions.OptunaError) as error:
        reason = reason_of(error)
        raise UserError(
            f"{setting}: cannot open the study in {shown(url)}: {reason}. Name one that you may use"
        ) from None


@contextmanager
def readable(url: str) -> Iterator[None]:
    """For all that reads a study at its opening: what only damaged content can raise becomes a UserError.

    Optuna takes its own tables on trust, so broken text, JSON, states and times come up as errors of any kind.
    """
    try:
        yield
    except (UserError, ImportError, RuntimeError, optuna.exceptions.OptunaError):  # told by `open_storage`
        raise
    except Exception as error:
        reason = redact(str(error) if isinstance(error, ValueError) else repr(error))
        if isinstance(error, SQLAlchemyError):
            reason = reason_of(error)
            if not any(words in reason.lower() for words in UNREADABLE):
                raise
        raise damaged(url, reason) from None


def damaged(url: str, reason: str) -> UserError:
    """What to tell of a database whose content cannot be trusted."""
    if file := file_of(url):
        return sqlite_file.damaged(file, reason)
    return UserError(
        f"the study in {shown(url)} (--study-url) is damaged: {reason}. Restore the database from a copy, or run the "
        "command with --fresh"
    )


def made_once(url: str, engine: dict[str, object]) -> optuna.storages.RDBStorage:
    """The storage, whose tables another process may be making at the same moment.

    Optuna looks for its tables and then makes them, so of two that open a new database together one fails;
    it finds them made when it looks again.
    """
    for delay in MAKING_DELAYS:
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(engine))
        except DatabaseError as error:
            if not any(words in reason_of(error).lower() for words in MADE_BY_ANOTHER):
                raise
            time.sleep(delay)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(engine))


def patient(method: Callable[P, R]) -> Callable[P, R]:
    """Try again while the database is away; for methods that may be repeated.

    The method raises RunFailed when the database stays away.
    """

    @wraps(method)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        for delay in RETRY_DELAYS:
            try:
                return method(*args, **kwargs)
            except (optuna.exceptions.StorageInternalError, SQLAlchemyError):
                time.sleep(delay)
        try:
            return method(*args, **kwargs)
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            raise RunFailed(
                f"the study's database stopped answering: {reason_of(error)}. Nothing that was recorded is lost: "
                "mend it (--study-url, or the disk of --storage) and run the same command again"
            ) from error

    return attempt
