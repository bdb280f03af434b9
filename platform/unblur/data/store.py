"""Prepared data on disk, under the hash of their content.

    <storage>/data/<digest>/search.safetensors   train, valid, their ranks, dislikes: what a search may read
                            test.safetensors     the test part: opened by `load_test` alone
                            meta.json            vocabularies and the checksums of the two files
    <storage>/data/requests/<key>.json           which request over which raw files gave which digest

The digest is the SHA-256 of meta.json, which holds the checksums of the other two: it vouches for every byte.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load, save
from scipy.sparse import csr_matrix

from unblur.data.dataset import Dataset
from unblur.data.interactions import DISLIKED, TEST, TRAIN, VALID, Interactions
from unblur.data.splits import positions, time_order
from unblur.errors import UserError
from unblur.files import write_bytes, write_text

SEARCH, LOCKED, META = "search.safetensors", "test.safetensors", "meta.json"

Arrays = dict[str, NDArray[Any]]


class Facts(BaseModel):
    """Sizes of prepared data, and what their source knew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int
    items: int
    train: int
    valid: int
    test: int
    disliked: int = 0
    """Ratings too low for a hit, in the time of train."""
    has_order: bool
    has_ratings: bool
    source_digest: str


class Record(BaseModel):
    """What a request led to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    report: list[str]
    facts: Facts


def folder_of(storage: Path, digest: str) -> Path:
    """Where the data with this digest lie."""
    return storage / "data" / digest


def write(data: Interactions, storage: Path) -> str:
    """Stores split interactions and returns their digest. What is there already stays if it is sound."""
    known = {"train": TRAIN, "valid": VALID}
    if (data.frame.part == DISLIKED).any():
        known["disliked"] = DISLIKED
    search, test = _arrays(data, known), _arrays(data, {"test": TEST})
    files = {SEARCH: save(search), LOCKED: save(test)}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    meta = {"sha256": sums, "users": data.users.tolist(), "items": data.items.tolist()}
    files[META] = json.dumps(meta, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(files[META]).hexdigest()
    folder = folder_of(storage, digest)
    if not is_sound(storage, digest):
        with writing(folder):
            for name, content in files.items():  # meta.json is the last: with it the data are complete
                write_bytes(folder / name, content)
    return digest


def _arrays(data: Interactions, parts: Mapping[str, int]) -> Arrays:
    """CSR pointers (n_users + 1,), indices (n,) and, where there is order, ranks (n,) of each part."""
    arrays: Arrays = {}
    for name, part in parts.items():
        frame = data.frame[data.frame.part == part]
        order = time_order(frame)
        rank = np.empty(len(frame), dtype=np.int32)
        rank[order] = positions(frame.user.to_numpy()[order])
        by_item = np.lexsort((frame.item, frame.user))
        counts = np.bincount(frame.user, minlength=len(data.users))
        arrays[f"{name}_indptr"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        arrays[f"{name}_indices"] = frame.item.to_numpy()[by_item].astype(np.int32)
        if frame.timestamp.notna().all():
            arrays[f"{name}_rank"] = rank[by_item]
    return arrays


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns what the file system refuses into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error}); choose another --storage") from error


def is_sound(storage: Path, digest: str) -> bool:
    """Whether all three files are there and are what was written."""
    folder = folder_of(storage, digest)
    try:
        meta = _meta(folder)
        for name in (SEARCH, LOCKED):
            _checked(folder, name, meta)
    except UserError:
        return False
    return True


def _meta(folder: Path) -> dict[str, Any]:
    try:
        content = (folder / META).read_bytes()
    except OSError as error:
        raise UserError(f"{folder}: holds no prepared data ({error}); prepare the dataset again") from error
    if hashlib.sha256(content).hexdigest() != folder.name:
        raise _damaged(folder / META)
    meta: dict[str, Any] = json.loads(content)
    return meta


def _checked(folder: Path, name: str, meta: Mapping[str, Any]) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise UserError(f"{folder / name}: cannot be read ({error}); prepare the dataset again") from error
    if hashlib.sha256(content).hexdigest() != meta["sha256"][name]:
        raise _damaged(folder / name)
    return content


def _damaged(file: Path) -> UserError:
    return UserError(f"{file}: has changed since it was written; prepare the dataset again")


def _matrix(arrays: Arrays, name: str, meta: Mapping[str, Any]) -> csr_matrix:
    indices = arrays[f"{name}_indices"]
    shape = (len(meta["users"]), len(meta["items"]))
    return csr_matrix((np.ones(len(indices), dtype=np.float32), indices, arrays[f"{name}_indptr"]), shape=shape)


def load_dataset(folder: Path) -> Dataset:
    """Train and validation from `<storage>/data/<digest>`; the test file is not opened. Raises UserError if damaged."""
    folder = folder.absolute()
    meta = _meta(folder)
    arrays = load(_checked(folder, SEARCH, meta))
    return Dataset(
        train=_matrix(arrays, "train", meta),
        valid=_matrix(arrays, "valid", meta),
        train_rank=arrays.get("train_rank"),
        valid_rank=arrays.get("valid_rank"),
        users=np.array(meta["users"], dtype=np.str_),
        items=np.array(meta["items"], dtype=np.str_),
        digest=folder.name,
        disliked=_matrix(arrays, "disliked", meta) if "disliked_indices" in arrays else None,
    )


def load_test(storage: Path, digest: str) -> csr_matrix:
    """The test part, binary CSR float32 (n_users, n_items): only the final evaluation may ask for it."""
    folder = folder_of(storage, digest)
    meta = _meta(folder)
    return _matrix(load(_checked(folder, LOCKED, meta)), "test", meta)


def remember(storage: Path, key: str, record: Record) -> None:
    """Keeps what a request led to, for `recall`."""
    file = _record(storage, key)
    with writing(file):
        write_text(file, record.model_dump_json(indent=1))


def recall(storage: Path, key: str) -> Record | None:
    """What was remembered under `key`, if it can be read and its data are sound."""
    try:
        record = Record.model_validate_json(_record(storage, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if is_sound(storage, record.digest) else None


def _record(storage: Path, key: str) -> Path:
    return storage / "data" / "requests" / f"{key}.json"
