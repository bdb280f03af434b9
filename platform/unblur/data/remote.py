"""Raw files at an address: https://, http:// and s3://, copied into the data directory and read there.

<data directory>/remote/<version>/<name>     one version of a file: its address, size and age
"""

import hashlib
import http.client
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from unblur.data.request import is_remote
from unblur.errors import UserError
from unblur.files import filesystem, replacing
from unblur.formatting import gigabytes
from unblur.redaction import redact

TIMEOUT = 30  # seconds without an answer
LIMIT = 16 * 2**30
"""Bytes of a file that are fetched at most."""
BLOCK = 1 << 20


def fetched(address: str, folder: Path) -> Path:
    """The copy, below the data directory `folder`, of what lies at an address now; fetched where it is not there.

    Raises UserError, with the address, for what cannot be had, is over LIMIT, or does not fit the disk.
    """
    with _opened(address) as (stream, size, age):
        _check_size(address, size, folder)
        known = hashlib.sha256(f"{address} {size} {age}".encode()).hexdigest()[:16]
        file = folder / "remote" / known / _name(address)
        if age and file.is_file():
            return file
        try:
            with replacing(file) as partial, partial.open("wb") as copy:
                _copied(address, stream, copy, size)
        except (http.client.HTTPException, OSError) as error:  # a broken connection, or no room
            raise _failed(address, str(error)) from None
    return file


def here(place: str, folder: Path) -> Path:
    """The file at a path, or the copy of the one at an address, below the data directory `folder`. Raises UserError."""
    return fetched(place, folder) if is_remote(place) else Path(place).expanduser()


@contextmanager
def _opened(address: str) -> Iterator[tuple[BinaryIO, int | None, str]]:
    """The bytes at an address, how many there are and how old they are, as far as the server says."""
    if address.startswith("s3://"):
        with _bucket(address) as found:
            yield found
        return
    if "@" in urlsplit(address).netloc:
        raise UserError(f"--dataset {redact(address)}: has a password in it; name an address that needs none")
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(address, headers={"User-Agent": "unblur"}), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        raise _failed(address, f"the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _failed(address, str(error.reason)) from None
    except (ValueError, OSError, ssl.SSLError, http.client.HTTPException) as error:
        raise _failed(address, str(error)) from None
    with answer:
        size = answer.headers.get("Content-Length", "")
        age = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        yield answer, int(size) if size.isdecimal() else None, age


@contextmanager
def _bucket(address: str) -> Iterator[tuple[BinaryIO, int | None, str]]:
    try:
        files, path = filesystem(address)
        info = files.get_file_info(path)
        if not info.is_file:
            raise FileNotFoundError("there is no such object")
        stream = files.open_input_stream(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise _failed(address, str(error).splitlines()[0]) from None
    with stream:
        yield stream, info.size, str(info.mtime_ns)


def _check_size(address: str, size: int | None, folder: Path) -> None:
    if size is None:
        return
    if size > LIMIT:
        raise _too_large(address, gigabytes(size))
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if size > (free := shutil.disk_usage(there).free):
        raise UserError(
            f"--dataset {redact(address)}: {gigabytes(size)}, and {folder} has room for {gigabytes(free)}; name "
            "another folder with --data-dir"
        )


def _copied(address: str, stream: BinaryIO, copy: BinaryIO, size: int | None) -> None:
    """Copy as many bytes as were promised, and not more than LIMIT."""
    done = 0
    while block := stream.read(BLOCK):
        done += len(block)
        if done > LIMIT:
            raise _too_large(address, f"more than {gigabytes(LIMIT)}")
        copy.write(block)
    if size is not None and done != size:
        raise _failed(address, f"it ended after {done:,} of {size:,} bytes")


def _name(address: str) -> str:
    """The last part of the path, which says what form the file has."""
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2]
    with suppress(ValueError):
        name = unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2] or name
    return Path(name.replace("\0", "")).name or "file"


def _too_large(address: str, found: str) -> UserError:
    return UserError(
        f"--dataset {redact(address)}: {found}, and at most {gigabytes(LIMIT)} are fetched; fetch it yourself and name "
        "the path"
    )


def _failed(address: str, reason: str) -> UserError:
    return UserError(
        f"--dataset {redact(address)}: cannot be fetched: {redact(reason)}; name an address that can be read from here"
    )
