"""The file of a study's SQLite database: whether it is sound, and the copy of it that every start makes."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from unblur.errors import UserError
from unblur.files import replacing

BACKUP = ".bak"


def backup_of(file: Path) -> Path:
    """Where the copy of the database lies."""
    return file.with_name(file.name + BACKUP)


def check(file: Path) -> None:
    """Raise UserError when `file` is there and is empty or damaged. Neither is mended here: a copy may be at hand."""
    try:
        size = file.stat().st_size
    except OSError:
        return  # a new one, or one that opening it will complain of
    if size == 0 and backup_of(file).exists():  # without a copy there was no trial: another start is about to make it
        raise damaged(file, "it is empty")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
    except sqlite3.OperationalError:
        return  # locked, or not to be read: opening it tells
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise damaged(file, str(error)) from None
    if found != ["ok"]:
        raise damaged(file, " ".join(found))


def damaged(file: Path, reason: str) -> UserError:
    """What to tell of a database that cannot be trusted."""
    copy = backup_of(file)
    restore = f"restore the copy of its last start (cp {copy} {file}), or" if copy.exists() else "restore a copy, or"
    return UserError(
        f"the study's database {file} (--storage) is damaged: {' '.join(reason.split())[:200]}. Nothing was changed: "
        f"{restore} move it away and run the command with --fresh"
    )


def back_up(file: Path) -> None:
    """Copy the database beside itself, as one state of it, also while others write; left out when the disk is full."""
    with (
        suppress(OSError, sqlite3.Error),
        replacing(backup_of(file)) as partial,
        closing(sqlite3.connect(file, timeout=60)) as database,
        closing(sqlite3.connect(partial)) as copy,
    ):
        database.backup(copy)
