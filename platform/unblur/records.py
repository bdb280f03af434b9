"""Records: what finished work leaves in its folder, which know what they are of and whether they are whole.

A record is a JSON file. Its entry `record` says of what it is, and holds a digest of the rest and of the files that
belong to it. One that is missing, emptied or damaged, whose files are, or that is of something else counts as none: the
work is done again.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from unblur.files import filesystem, under, write_json

log = logging.getLogger(__name__)

RECORD = "record"
Contents = Mapping[str, tuple[int, str]]
"""Size and SHA-256 of each file, by its path in a folder."""


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """All files in a folder of this machine."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, _sha256(path)) for path in paths}


def upload(save: Callable[[Path], Any], place: str) -> Contents:
    """Call `save(folder)` with an empty folder and copy what it wrote there to `place`; what that is."""
    from pyarrow import fs

    files, root = filesystem(place)
    with tempfile.TemporaryDirectory() as local:
        save(Path(local))
        files.create_dir(root, recursive=True)
        fs.copy_files(local, root, source_filesystem=fs.LocalFileSystem(), destination_filesystem=files)
        return contents(Path(local))


def write(place: str, content: Mapping[str, Any], of: str, files: Mapping[str, Contents] | None = None) -> None:
    """Write the record `place`, last: who finds it finds the whole. OSError as in `files.write_bytes`.

    of: what it is a record of. files: what folders beside it hold ("" for its own), by their names.
    """
    about = {"of": of, "files": {folder: dict(each) for folder, each in (files or {}).items()}}
    write_json(place, {**content, RECORD: {**about, "digest": _digest(content, about)}})


def read(place: str, of: str) -> dict[str, Any] | None:
    """The content of the record `place`; None when there is none of `of` that is whole. What is damaged is named."""
    files, path = filesystem(place)
    try:
        with files.open_input_stream(path) as stream:
            raw = stream.read()
    except FileNotFoundError:
        return None
    try:
        content = json.loads(raw)
        about = content.pop(RECORD)
        digest = about.pop("digest")
        whole = digest == _digest(content, about)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        _tell(f"{place} is damaged and counts as none")
        return None
    if about["of"] != of:
        return None
    for folder, each in about["files"].items():
        if lost := _lost(_beside(place, folder), each):
            _tell(f"{lost} is missing or damaged, so {place} counts as none")
            return None
    return dict(content)


def _beside(place: str, folder: str) -> str:
    path, mark, query = place.partition("?") if "://" in place else (place, "", "")
    return "/".join([path.rpartition("/")[0], *([folder] if folder else [])]) + mark + query


def _lost(folder: str, expected: Mapping[str, Any]) -> str | None:
    """The first file that is not as expected; in a bucket its size must do, since it would have to be fetched."""
    files, root = filesystem(folder)
    for (name, (size, digest)), found in zip(
        expected.items(), files.get_file_info([f"{root}/{name}" for name in expected]), strict=True
    ):
        if not found.is_file or found.size != size:
            return under(folder, name)
        if files.type_name == "local" and _sha256(Path(found.path)) != digest:
            return under(folder, name)
    return None


def _sha256(path: Path) -> str:
    status = path.stat()
    return _known(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _known(path: Path, size: int, mtime: int) -> str:
    """The digest of a file as it was at that time: records are read several times in a run."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _digest(content: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    return sha256(json.dumps([content, about], sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1000)
def _tell(text: str) -> None:
    log.warning("%s", text)
