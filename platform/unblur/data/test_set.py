"""The test set: the only module that opens the test part of prepared data, and each opening is written down.

Import-linter holds who may import it (pyproject.toml); `data.openings` keeps the log and counts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from safetensors.numpy import load
from scipy.sparse import csr_matrix

from unblur.data import openings
from unblur.data.dataset import Dataset, HistoryName
from unblur.data.prepared_folder import TEST_FILE, folder_of, matrix, read_meta, verified


@dataclass(frozen=True)
class TestSet:
    """All that a final evaluation needs: the data, the opened test part, and what a model sees of a user.

    test: binary CSR float32 (n_users, n_items).
    """

    __test__: ClassVar[bool] = False  # no test case, whatever its name says

    dataset: Dataset
    test: csr_matrix
    history: HistoryName = "train"

    @classmethod
    def open(cls, reason: str, storage: Path, dataset: Dataset, history: HistoryName = "train") -> Self:
        """Open the test part of `dataset`, which was prepared in `storage`, once `reason` is in the log of openings.

        Raises UserError when the file is missing or damaged, or the log cannot be written.
        """
        folder = folder_of(storage, dataset.digest)
        meta = read_meta(folder)
        content = verified(folder, TEST_FILE, meta)
        openings.append(folder, reason)  # first: nothing is seen of it without
        return cls(dataset, matrix(load(content), "test", meta), history)
