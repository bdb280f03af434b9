"""Our ranking and metrics against trec_eval's, through ir_measures, on random scores: an independent implementation."""

from collections.abc import Iterator

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import AP, RR, P, Qrel, R, ScoredDoc, Success, nDCG
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random_array
from torch import Tensor

from unblur.data.dataset import Dataset, History
from unblur.evaluation.measuring import CUTOFFS
from unblur.evaluation.ranking import final

USERS, ITEMS = 80, 300
THEIRS = {"ndcg": nDCG, "recall": R, "precision": P, "mrr": RR, "map": AP, "hit_rate": Success}


class Fixed:
    """A scorer that answers what it was given."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        return self.scores[torch.from_numpy(users)]


def parts(seed: int) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """Train, validation and test that share no entry."""
    rng = np.random.default_rng(seed)
    part = csr_matrix(
        random_array((USERS, ITEMS), density=0.15, rng=rng, data_sampler=lambda size: rng.integers(1, 4, size))
    )
    return tuple(csr_matrix(part == number, dtype=np.float32) for number in (1, 2, 3))  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_at_every_cutoff(seed: int) -> None:
    train, valid, test = parts(seed)
    test = csr_matrix(test.multiply(np.arange(USERS)[:, None] >= 5))
    test.eliminate_zeros()  # five users hold out nothing
    ids = np.array([str(user) for user in range(USERS)]), np.array([str(item) for item in range(ITEMS)])
    dataset = Dataset(train, valid, None, None, *ids, "digest")
    scores = torch.rand(USERS, ITEMS, generator=torch.Generator().manual_seed(seed))
    ours = final(Fixed(scores), dataset, test).metrics()
    measures = {f"{name}_at_{k}": measure @ k for name, measure in THEIRS.items() for k in CUTOFFS}
    seen = (train + valid).toarray() > 0
    theirs = ir_measures.calc_aggregate(measures.values(), relevant(test), candidates(scores.numpy(), seen))
    for name, measure in measures.items():
        assert ours[name] == pytest.approx(theirs[measure], rel=1e-9), name


def relevant(test: csr_matrix) -> Iterator[Qrel]:
    return (Qrel(str(user), str(item), 1) for user, item in zip(*test.nonzero(), strict=True))


def candidates(scores: NDArray[np.float32], seen: NDArray[np.bool_]) -> Iterator[ScoredDoc]:
    for user, item in zip(*np.nonzero(~seen), strict=True):
        yield ScoredDoc(str(user), str(item), float(scores[user, item]))
