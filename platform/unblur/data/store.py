"""Prepared data on disk, under the hash of their content (`data.prepared_folder`).

<storage>/data/requests/<key>.json           which request over which raw files gave which digest
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load, save

from unblur.data.dataset import Dataset
from unblur.data.ids import vocabulary
from unblur.data.interactions import DISLIKED, TEST, TRAIN, VALID, Interactions
from unblur.data.order import positions, time_order
from unblur.data.prepared_folder import (
    META,
    SEARCH,
    TEST_FILE,
    Arrays,
    folder_of,
    is_sound,
    matrix,
    read_meta,
    verified,
)
from unblur.errors import UserError
from unblur.files import write_bytes, write_text


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


def write(data: Interactions, storage: Path) -> str:
    """Stores split interactions and returns their digest. What is there already stays if it is sound."""
    known = {"train": TRAIN, "valid": VALID}
    if (data.frame.part == DISLIKED).any():
        known["disliked"] = DISLIKED
    search, test = _arrays(data, known), _arrays(data, {"test": TEST})
    files = {SEARCH: save(search), TEST_FILE: save(test)}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    meta = {"sha256": sums, "users": data.users.tolist(), "items": data.items.tolist()}
    files[META] = json.dumps(meta, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(files[META]).hexdigest()
    folder = folder_of(storage, digest)
    if not is_sound(folder):
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


def load_dataset(folder: Path) -> Dataset:
    """Train and validation from `<storage>/data/<digest>`; the test file is not opened. Raises UserError if damaged."""
    folder = folder.absolute()
    meta = read_meta(folder)
    arrays = load(verified(folder, SEARCH, meta))
    return Dataset(
        train=matrix(arrays, "train", meta),
        valid=matrix(arrays, "valid", meta),
        train_rank=arrays.get("train_rank"),
        valid_rank=arrays.get("valid_rank"),
        users=vocabulary(meta["users"]),
        items=vocabulary(meta["items"]),
        digest=folder.name,
        disliked=matrix(arrays, "disliked", meta) if "disliked_indices" in arrays else None,
    )


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
    return record if is_sound(folder_of(storage, record.digest)) else None


def _record(storage: Path, key: str) -> Path:
    return storage / "data" / "requests" / f"{key}.json"
