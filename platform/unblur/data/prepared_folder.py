"""Folder of prepared data: its files, their checksums, and matrices as arrays.

    <storage>/data/<digest>/search.safetensors   train, valid, their ranks, dislikes: what a search may read
                            test.safetensors     the test part: opened by `data.test_set` alone
                            meta.json            vocabularies and the checksums of the two files
                            openings.jsonl       who opened the test part (`data.openings`)

The digest is the SHA-256 of meta.json, which holds the checksums of the other two: it vouches for every byte.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from unblur.data.sequences import Sequences
from unblur.errors import UserError

SEARCH, TEST_FILE, META = "search.safetensors", "test.safetensors", "meta.json"

Arrays = dict[str, NDArray[Any]]
Meta = dict[str, Any]


def folder_of(storage: Path, digest: str) -> Path:
    """Where the data with this digest lie."""
    return storage / "data" / digest


def is_sound(folder: Path) -> bool:
    """Whether all three files are there and are what was written."""
    try:
        meta = read_meta(folder)
        for name in (SEARCH, TEST_FILE):
            verified(folder, name, meta)
    except UserError:
        return False
    return True


def read_meta(folder: Path) -> Meta:
    """Vocabularies and checksums. Raises UserError when they are missing or damaged."""
    try:
        content = (folder / META).read_bytes()
    except OSError as error:
        raise UserError(f"{folder}: holds no prepared data ({error}); prepare the dataset again") from error
    if hashlib.sha256(content).hexdigest() != folder.name:
        raise _damaged(folder / META)
    meta: Meta = json.loads(content)
    return meta


def verified(folder: Path, name: str, meta: Meta) -> bytes:
    """The bytes of a file. Raises UserError when they are not those that were written."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise UserError(f"{folder / name}: cannot be read ({error}); prepare the dataset again") from error
    if hashlib.sha256(content).hexdigest() != meta["sha256"][name]:
        raise _damaged(folder / name)
    return content


def _damaged(file: Path) -> UserError:
    return UserError(f"{file}: has changed since it was written; prepare the dataset again")


def matrix(arrays: Mapping[str, NDArray[Any]], name: str, meta: Meta) -> csr_matrix:
    """The binary CSR float32 (n_users, n_items) called `name` among `arrays`."""
    indices = arrays[f"{name}_indices"]
    shape = (len(meta["users"]), len(meta["items"]))
    return csr_matrix((np.ones(len(indices), dtype=np.float32), indices, arrays[f"{name}_indptr"]), shape=shape)


def ordered(arrays: Mapping[str, NDArray[Any]], name: str, meta: Meta) -> Sequences:
    """The users' sequences called `name` among `arrays`."""
    items, indptr = (arrays[f"{name}_{each}"].astype(np.int64) for each in ("items", "indptr"))
    return Sequences.ragged(items, indptr, len(meta["items"]))
