"""LightGCN's `train.txt` and `test.txt`: `user item item ...`, ids from 0, sorted by item, so without order in time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unblur.data import id_rows
from unblur.data.interactions import TEST, TRAIN, Interactions, build
from unblur.data.request import DataRequest


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """The two files, train then test; their division comes as `part`. Rows of the vocabularies are the ids."""
    rows = [id_rows.read(file) for file in files]
    part = np.repeat([TRAIN, TEST], [len(each.user) for each in rows])
    line = np.concatenate([each.line for each in rows])
    raw = pd.DataFrame(
        {
            "user": np.concatenate([each.user for each in rows]),
            "item": np.concatenate([each.item for each in rows]),
            "part": part,
        }
    )

    def where(row: int) -> str:
        return f"{files[int(part[row] == TEST)]}:{line[row]}"

    return build(raw, files[0].parent, where, request, clock=False, dense_ids=True)


def example(folder: Path) -> Sequence[Path]:
    """Two users, four items."""
    files = [folder / "train.txt", folder / "test.txt"]
    files[0].write_text("0 0 1 2\n1 1 3\n")
    files[1].write_text("0 3\n1 0\n")
    return files
