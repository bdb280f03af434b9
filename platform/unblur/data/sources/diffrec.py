"""DiffRec's `train_list.npy`, `valid_list.npy`, `test_list.npy`: whole numbers (n, 2), user and item from 0.

In the authors' `*_clean` folders a user's train rows are in time order, which gives them a rank; those of `*_noisy`
folders and all valid and test rows are in no order. Rows of the vocabularies are the ids, so that the authors' item
embeddings fit.
"""

from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.interactions import TRAIN, Interactions, build
from unblur.data.reading import opened
from unblur.data.request import DataRequest
from unblur.errors import UserError

UNREADABLE = (MemoryError, SyntaxError, TypeError, OverflowError, RecursionError, TokenError)
"""What numpy raises over a damaged header, besides ValueError."""


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """The three lists, in this order: train, valid, test; their division comes as `part`."""
    lists = [_read(file) for file in files]
    starts = np.cumsum([0, *map(len, lists)])
    pairs = np.concatenate(lists)
    part = np.repeat(np.arange(len(files)), np.diff(starts))
    raw = pd.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1], "part": part})
    ordered = (part == TRAIN) & files[0].parent.name.endswith("_clean")
    raw["timestamp"] = np.where(ordered, np.arange(len(raw)), np.nan)

    def where(row: int) -> str:
        return f"{files[part[row]]}, row {row - starts[part[row]]}"

    return build(raw, files[0].parent, where, request, clock=False, unordered=True, dense_ids=True)


def _read(file: Path) -> NDArray[np.int64]:
    with opened(file) as stream:
        try:
            pairs = np.lib.format.read_array(stream, allow_pickle=False)
        except UNREADABLE as error:
            raise UserError(f"{file}: cannot be read as a .npy file ({error}); fetch it again") from error
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise UserError(f"{file}: found {pairs.dtype} {pairs.shape}, expected whole numbers (n, 2): user, item")
    return pairs.astype(np.int64)


def example(folder: Path) -> Sequence[Path]:
    """Two users, three items."""
    lists = {"train": [[0, 0], [0, 1], [1, 2], [1, 0]], "valid": [[0, 2]], "test": [[1, 1]]}
    files = [folder / f"{name}_list.npy" for name in lists]
    for file, rows in zip(files, lists.values(), strict=True):
        np.save(file, np.array(rows, dtype=np.int64), allow_pickle=False)
    return files
