"""The test set: the only module that opens the test part of prepared data, and each opening is written down.

Import-linter holds who may import it (pyproject.toml); `data.openings` keeps the log and counts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from safetensors.numpy import load
from scipy.sparse import csr_matrix

from unblur.data import openings
from unblur.data.dataset import Dataset, History, HistoryName, Ranks
from unblur.data.prepared_folder import TEST_FILE, folder_of, matrix, ordered, read_meta, verified
from unblur.data.sequences import Sequences, joined


@dataclass(frozen=True)
class TestSet:
    """All that a final evaluation needs: the data, the opened test part, and what a model sees of a user.

    test: binary CSR float32 (n_users, n_items). rank: the 0-based time rank of each entry within it, aligned with its
    indices; None where the data carry no order. events: the test part with every repetition, where such are kept.
    """

    __test__: ClassVar[bool] = False  # no test case, whatever its name says

    dataset: Dataset
    test: csr_matrix
    history: HistoryName = "train"
    rank: Ranks | None = None
    events: Sequences | None = None

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
        if "test_fold_in_items" in arrays:
            before = dataset.fold_in or (Sequences.none(dataset.n_users, dataset.n_items),)
            dataset = replace(dataset, fold_in=(*before, ordered(arrays, "test_fold_in", meta)))
        events = ordered(arrays, "test_events", meta) if "test_events_items" in arrays else None
        return cls(dataset, matrix(arrays, "test", meta), history, arrays.get("test_rank"), events)

    def everything(self) -> Dataset:
        """All interactions as train, in their order, for a model of which no figure is asked any more.

        Its validation part is empty.
        """
        whole = self._whole()
        no_rank = None if whole.rank is None else whole.rank[:0]
        return replace(
            self.dataset,
            train=whole.matrix,
            train_rank=whole.rank,
            valid=csr_matrix(self.test.shape, dtype=self.test.dtype),
            valid_rank=no_rank,
            fold_in=(),
            events=None if whole.events is None else (whole.events, Sequences.none(*self.test.shape)),
            digest=self.dataset.digest_of_all,
            artefacts={},
        )

    def _whole(self) -> History:
        """Every user's train, valid and test; with repetitions only where they are kept."""
        known = self.dataset.known(with_valid=True)
        if self.events is not None:
            return replace(History.of(joined([known.in_order(), self.events])), disliked=known.disliked)
        return replace(known, events=None).followed(self.test, self.rank)
