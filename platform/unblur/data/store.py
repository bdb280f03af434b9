"""Prepared data on disk, under the hash of their content (`data.prepared_folder`).

<storage>/data/requests/<key>.json           which request over which raw files gave which digest
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import load, save

from unblur.data.dataset import Dataset
from unblur.data.ids import vocabulary
from unblur.data.interactions import (
    DISLIKED,
    HIDDEN,
    TEST,
    TEST_FOLD_IN,
    TRAIN,
    VALID,
    VALID_FOLD_IN,
    Interactions,
)
from unblur.data.order import positions, time_order
from unblur.data.prepared_folder import (
    META,
    SEARCH,
    TEST_FILE,
    Arrays,
    Meta,
    folder_of,
    is_sound,
    matrix,
    ordered,
    read_meta,
    verified,
)
from unblur.data.request import Seen
from unblur.data.sequences import Sequences
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
    valid_fold_in: int = Field(0, exclude_if=lambda value: not value)
    test_fold_in: int = Field(0, exclude_if=lambda value: not value)
    """What leads up to validation and to test interactions and is not trained on, of the splits that have such."""
    hidden: int = Field(0, exclude_if=lambda value: not value)
    """What the protocol took from train."""
    has_order: bool
    has_ratings: bool
    source_digest: str


class Record(BaseModel):
    """What a request led to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    report: list[str]
    facts: Facts


def write(data: Interactions, storage: Path, seen: Seen = "masked") -> str:
    """Stores split interactions and returns their digest. What is there already stays if it is sound.

    seen: whether evaluations on these data may recommend what a user has.
    """
    there = set(data.frame.part.unique())
    search = _arrays(data, {"train": TRAIN, "valid": VALID})
    if DISLIKED in there:
        search |= _arrays(data, {"disliked": DISLIKED})
    if HIDDEN in there:
        search |= _arrays(data, {"hidden": HIDDEN})
    test = _arrays(data, {"test": TEST})
    search |= _events(data, {"valid_fold_in": VALID_FOLD_IN} if VALID_FOLD_IN in there else {})
    test |= _events(data, {"test_fold_in": TEST_FOLD_IN} if TEST_FOLD_IN in there else {})
    if data.repeats_kept:
        search |= _events(data, {"train_events": TRAIN, "valid_events": VALID})
        test |= _events(data, {"test_events": TEST})
    files = {SEARCH: save(search), TEST_FILE: save(test)}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    meta = {"sha256": sums, "users": data.users.tolist(), "items": data.items.tolist()}
    meta |= {} if seen == "masked" else {"seen": seen}
    files[META] = json.dumps(meta, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(files[META]).hexdigest()
    folder = folder_of(storage, digest)
    if not is_sound(folder):
        with writing(folder):
            for name, content in files.items():  # meta.json is the last: with it the data are complete
                write_bytes(folder / name, content)
    return digest


def _arrays(data: Interactions, parts: Mapping[str, int]) -> Arrays:
    """CSR pointers (n_users + 1,), indices (n,) and, where there is order, ranks (n,) of each part; of a pair that is
    there twice the first counts."""
    arrays: Arrays = {}
    for name, part in parts.items():
        frame = _of_part(data, part)
        frame = frame[~frame.duplicated(["user", "item"])]
        rank = positions(frame.user.to_numpy()).astype(np.int32)
        by_item = np.lexsort((frame.item, frame.user))
        arrays[f"{name}_indptr"] = _pointers(data, frame)
        arrays[f"{name}_indices"] = frame.item.to_numpy()[by_item].astype(np.int32)
        if frame.timestamp.notna().all():
            arrays[f"{name}_rank"] = rank[by_item]
    return arrays


def _events(data: Interactions, parts: Mapping[str, int]) -> Arrays:
    """Pointers (n_users + 1,) and items (n,) of each part in the order of time, repetitions included."""
    arrays: Arrays = {}
    for name, part in parts.items():
        frame = _of_part(data, part)
        arrays[f"{name}_indptr"] = _pointers(data, frame)
        arrays[f"{name}_items"] = frame.item.to_numpy().astype(np.int32)
    return arrays


def _of_part(data: Interactions, part: int) -> pd.DataFrame:
    """A part's rows by user and time."""
    frame = data.frame[data.frame.part == part]
    return frame.iloc[time_order(frame)]


def _pointers(data: Interactions, frame: pd.DataFrame) -> NDArray[np.int64]:
    counts = np.bincount(frame.user, minlength=len(data.users))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


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
        hidden=matrix(arrays, "hidden", meta) if "hidden_indices" in arrays else None,
        fold_in=(ordered(arrays, "valid_fold_in", meta),) if "valid_fold_in_items" in arrays else (),
        events=_of_both(arrays, meta) if "train_events_items" in arrays else None,
        seen=meta.get("seen", "masked"),
    )


def _of_both(arrays: Arrays, meta: Meta) -> tuple[Sequences, Sequences]:
    return ordered(arrays, "train_events", meta), ordered(arrays, "valid_events", meta)


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
