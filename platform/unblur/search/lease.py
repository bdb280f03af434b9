"""Lease of a study in a server's database: a row with a heartbeat, so that one driver at a time writes to it.

No lock of the server's, which ends with its connection (a restart, an idle time-out) while the driver goes on, and
which a pooler such as pgbouncer gives to whoever comes next. Each statement here stands alone, by the server's clock.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from unblur.errors import RunFailed, UserError
from unblur.search.storage import MADE_BY_ANOTHER, connection, reason_of

BEAT_SECONDS = 3.0
"""Between two signs of life."""
LEASE_SECONDS = 20.0
"""After so long without one the study is free."""

TABLE = """
CREATE TABLE IF NOT EXISTS unblur_lease
(study text PRIMARY KEY, holder text NOT NULL, token text NOT NULL, beat timestamptz NOT NULL)
"""
TAKE = """
INSERT INTO unblur_lease AS lease VALUES (:study, :holder, :token, clock_timestamp())
ON CONFLICT (study) DO UPDATE SET holder = :holder, token = :token, beat = clock_timestamp()
WHERE lease.beat < clock_timestamp() - make_interval(secs => :seconds)
"""
RENEW = "UPDATE unblur_lease SET beat = clock_timestamp() WHERE study = :study AND token = :token"
GIVE_BACK = "DELETE FROM unblur_lease WHERE study = :study AND token = :token"
HOLDER = "SELECT holder, beat FROM unblur_lease WHERE study = :study"


def busy(name: str, holder: str) -> UserError:
    """The error of a second driver."""
    return UserError(f"the study {name} is already being driven by {holder}; stop it or let it end")


@contextmanager
def leased(url: URL, name: str, mine: str) -> Iterator[Callable[[], None]]:
    """Hold the study `name` as `mine`, who is named to others; gives the function that makes sure of it.

    A holder that does not give a sign of life is waited for until its lease runs out. Raises UserError when it does.
    """
    connect = {**connection(url), "application_name": f"unblur {mine}"}
    engine = create_engine(url, pool_size=1, pool_pre_ping=True, isolation_level="AUTOCOMMIT", connect_args=connect)
    lease, ended = Lease(engine, name, mine), threading.Event()
    try:
        lease.take()
    except SQLAlchemyError as error:
        raise UserError(f"cannot lock the study (--study-url): {reason_of(error)}") from None
    beating = threading.Thread(target=lease.beat, args=(ended,), name="study-lease", daemon=True)
    beating.start()
    try:
        yield lease.renew
    finally:
        ended.set()
        with suppress(SQLAlchemyError):  # it runs out by itself
            lease.run(GIVE_BACK)
        engine.dispose()


@dataclass
class Lease:
    """One driver's hold of one study."""

    engine: Engine
    study: str
    holder: str

    def __post_init__(self) -> None:
        self.token = uuid4().hex

    def run(self, statement: str) -> int:
        """How many rows the statement changed."""
        told = {"study": self.study, "holder": self.holder, "token": self.token, "seconds": LEASE_SECONDS}
        with self.engine.connect() as connection:
            return int(connection.execute(text(statement), told).rowcount)

    def take(self) -> None:
        """Take the lease when it is free, or as soon as it has run out; UserError when its holder is heard of."""
        try:
            self.run(TABLE)
        except DatabaseError as error:  # two that make it at once
            if not any(words in reason_of(error).lower() for words in MADE_BY_ANOTHER):
                raise
        first = self.present()
        while not self.run(TAKE):
            now = self.present()
            if first is not None and now is not None and now != first:
                raise busy(self.study, now[0])
            first = first or now
            time.sleep(BEAT_SECONDS / 10)

    def present(self) -> tuple[str, datetime] | None:
        """Who holds the study, and when it was heard of last."""
        with self.engine.connect() as connection:
            row = connection.execute(text(HOLDER), {"study": self.study}).one_or_none()
        return None if row is None else (str(row[0]), row[1])

    def renew(self) -> None:
        """Prolong the lease; RunFailed when another driver has it, who has begun to write: nothing is taken back."""
        if self.run(RENEW):
            return
        now = self.present()
        raise RunFailed(
            f"the search {self.study} was taken over by {now[0] if now else 'another process'}, since this one was not "
            f"heard of for {LEASE_SECONDS:g} s. It stops here; what it recorded is kept, and the other goes on with it"
        )

    def beat(self, ended: threading.Event) -> None:
        """Prolong the lease until the end, also while nothing is written for hours; a database may return."""
        while not ended.wait(BEAT_SECONDS):
            try:
                self.run(RENEW)
            except SQLAlchemyError:
                continue
