"""Files written at once, on this machine or in a bucket: a reader finds the old content or the new, never a part.

A place is a path, or a URI such as s3://bucket/prefix?endpoint_override=... . pyarrow, which knows them, is imported
where a place is used: models and their training need none (`tests/gpu` runs without).
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from unblur.errors import UserError

Piece = bytes | memoryview
PARTIAL = ".partial"
"""The end of a temporary file's name."""


def filesystem(place: str) -> tuple[Any, str]:
    """The file system of a place, and the path on it."""
    from pyarrow import fs

    files, path = fs.FileSystem.from_uri(place if "://" in place else str(Path(place).absolute()))
    return files, path


def under(place: str, *names: str) -> str:
    """The place below `place`; a URI keeps what follows its path (?endpoint_override=...) at its end."""
    path, mark, query = place.partition("?") if "://" in place else (place, "", "")
    return "/".join([path.rstrip("/"), *names]) + mark + query


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block with this folder: a lock on the folder, which leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def locked_by(file: Path) -> int | None:
    """The other process that holds a lock on a file (fcntl, as SQLite's), a writer first; None where it is not told."""
    try:
        inode = str(file.stat().st_ino)
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return None
    holders = {each[3]: int(each[4]) for each in locks if each[1] == "POSIX" and each[5].split(":")[2] == inode}
    pid = holders.get("WRITE", holders.get("READ"))
    return pid if pid and pid != os.getpid() and _has_open(pid, file) else None


def _has_open(pid: int, file: Path) -> bool:
    """For certain: the number of another file system's file may be the same."""
    with suppress(OSError):
        return any(each.exists() and each.samefile(file) for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary path beside `file`, whose folder is made. When the block ends, what was written there is `file`.

    It is on the disk before it gets its name, so that a machine that loses power keeps the old file or the new one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{uuid4().hex}{PARTIAL}")
    try:
        yield partial
        _sync(partial)
        partial.replace(file)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    with suppress(OSError):  # some file systems cannot sync a folder
        _sync(file.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(place: str | Path, *pieces: Piece) -> None:
    """Write the pieces one after the other as one file; OSError when there is no room or no permission."""
    write_on(*filesystem(str(place)), *pieces)


def write_on(files: Any, path: str, *pieces: Piece) -> None:
    """`write_bytes` on a file system that is at hand."""
    from pyarrow import fs

    if isinstance(files, fs.LocalFileSystem):
        with replacing(Path(path)) as partial, partial.open("wb") as stream:
            stream.writelines(pieces)
        return
    files.create_dir(path.rpartition("/")[0], recursive=True)
    with files.open_output_stream(path) as stream:  # an object store shows an object only when it is whole
        stream.writelines(pieces)


def write_text(place: str | Path, text: str) -> None:
    """Write a text in UTF-8; OSError as in `write_bytes`."""
    write_bytes(place, text.encode())


def write_output(file: Path, text: str, flag: str) -> None:
    """Write the text file that a person named by `flag`; UserError, with the flag, when that fails."""
    try:
        write_text(file, text)
    except OSError as error:
        raise UserError(f"{flag} {file} cannot be written: {error.strerror}; name another file") from None


def write_json(place: str | Path, content: Any) -> None:
    """Write a JSON file; OSError as in `write_bytes`."""
    write_text(place, json.dumps(content, indent=1))


def read_json(place: str) -> dict[str, Any] | None:
    """The object in a JSON file; None when there is no such file."""
    files, path = filesystem(place)
    try:
        with files.open_input_stream(path) as stream:
            content: dict[str, Any] = json.loads(stream.read())
    except FileNotFoundError:
        return None
    return content


def download(place: str, local: Path) -> Path:
    """The folder `place` itself when it is on this machine, otherwise a copy of it in `local`."""
    from pyarrow import fs

    files, root = filesystem(place)
    if isinstance(files, fs.LocalFileSystem):
        return Path(root)
    local.mkdir(parents=True, exist_ok=True)
    fs.copy_files(root, str(local), source_filesystem=files, destination_filesystem=fs.LocalFileSystem())
    return local
