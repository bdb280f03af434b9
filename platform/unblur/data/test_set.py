"""The test set: the only module that opens the test part of prepared data, and each opening is written down.

Import-linter holds who may import it (pyproject.toml); `data.openings` keeps the log and counts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from safetensors.numpy import load
from scipy.sparse import csr_matrix

from unblur.data import openings
from unblur.data.dataset import Dataset, HistoryName, Ranks
from unblur.data.prepared_folder import TEST_FILE, folder_of, matrix, read_meta, verified


@dataclass(frozen=True)
class TestSet:
    """All that a final evaluation needs: the data, the opened test part, and what a model sees of a user.

    test: binary CSR float32 (n_users, n_items). rank: the 0-based time rank of each entry within it, aligned with its
    indices; None where the data carry no order.
    """

    __test__: ClassVar[bool] = False  # no test case, whatever its name says

    dataset: Dataset
    test: csr_matrix
    history: HistoryName = "train"
    rank: Ranks | None = None

    @classmethod
    def open(cls, reason: str, storage: Path, dataset: Dataset, history: HistoryName = "train") -> Self:
        """Open the test part of `dataset`, which was prepared in `storage`, once `reason` is in the log of openings.

        Raises UserError when the file is missing or damaged, or the log cannot be written.
        """
        folder = folder_of(storage, dataset.digest)
        meta = read_meta(folder)
        content = verified(folder, TEST_FILE, meta)
        openings.append(folder, reason)  # first: nothing is seen of it without
        arrays = load(content)
        return cls(dataset, matrix(arrays, "test", meta), history, arrays.get("test_rank"))

    def everything(self) -> Dataset:
        """All interactions as train, validation and test after it, for a model of which no figure is asked any more.

        Its validation part is empty.
        """
        whole = self.dataset.history(with_valid=True).followed(self.test, self.rank)
        none = csr_matrix(self.test.shape, dtype=self.test.dtype)
        no_rank = None if whole.rank is None else whole.rank[:0]
        return replace(
            self.dataset,
            train=whole.matrix,
            train_rank=whole.rank,
            valid=none,
            valid_rank=no_rank,
            digest=self.dataset.digest_of_all,
            artefacts={},
        )
