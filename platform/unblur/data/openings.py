"""Log of the test set's openings: who read the test part of prepared data, when, why, and with which code.

<storage>/data/<digest>/openings.jsonl       one JSON object per opening, oldest first; never rewritten
"""

import fcntl
import getpass
import os
import socket
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from unblur import provenance
from unblur.errors import UserError

LOG = "openings.jsonl"
UNREADABLE = "an entry that cannot be read"


class Opening(BaseModel):
    """One time that the test part was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str
    """ISO 8601, UTC."""
    who: str
    """User and host."""
    why: str
    version: str
    """Of the package."""
    commit: str | None
    """Of the checkout that the package lies in, `-dirty` if files differ from it; None outside one."""


def append(folder: Path, why: str) -> None:
    """Add an opening to the log in `folder`, safely beside other processes. UserError when it cannot be written."""
    opening = Opening(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        who=f"{_user()}@{socket.gethostname()}",
        why=" ".join(why.split()),
        version=provenance.version(),
        commit=provenance.commit(),
    )
    try:
        with (folder / LOG).open("ab+") as log:
            fcntl.flock(log, fcntl.LOCK_EX)  # until it is closed
            log.write(_line_end(log.fileno()) + opening.model_dump_json().encode() + b"\n")
            log.flush()
            os.fsync(log.fileno())
    except OSError as error:
        raise UserError(
            f"{folder / LOG}: cannot be written ({error}), and the test set is not opened without a note of it"
        ) from error


def read(folder: Path) -> list[Opening]:
    """All openings in `folder`, oldest first; a line that cannot be read is an opening too."""
    try:
        lines = (folder / LOG).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [_parsed(line) for line in lines]


def reasons(folder: Path) -> dict[str, int]:
    """How often the test part of the data in `folder` was opened, by the reason."""
    return Counter(opening.why for opening in read(folder))


def sentence(reasons: Mapping[str, int]) -> str:
    """How often the test set was opened, and for what."""
    if not reasons:
        return "No opening of the test set of these data is recorded."
    total = sum(reasons.values())
    times = "once" if total == 1 else f"{total} times"
    listed = ", ".join(f"{why} ({count})" if count > 1 else why for why, count in reasons.items())
    return f"The test set of these data was opened {times}: {listed}."


def _parsed(line: bytes) -> Opening:
    try:
        return Opening.model_validate_json(line)
    except ValidationError:
        return Opening(when="", who="", why=UNREADABLE, version="", commit=None)


def _line_end(log: int) -> bytes:
    """What closes an entry that a crash has cut short."""
    size = os.fstat(log).st_size
    return b"\n" if size and os.pread(log, 1, size - 1) != b"\n" else b""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
