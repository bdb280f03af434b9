"""A model that answers in the columns of another catalogue says what it says in its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, hstack
from tests.helpers.synthetic import communities, with_dislikes

from unblur import models
from unblur.data.dataset import History
from unblur.evaluation.ranking import validate
from unblur.models.base import ClosedFormRecommender
from unblur.models.translated import Translated

DATA = with_dislikes(communities())
NOBODY = np.zeros(DATA.n_users, dtype=np.int64)
MODELS: dict[str, dict[str, Any]] = {
    "ease": {},
    "markov_chain": {},
    "popularity": {},
    "diffrec": {"dims": [4], "T": 2},
    "sasrec": {"dim": 8, "max_length": 8},
}


def model(name: str) -> Any:
    made = models.model_class(name)(models.configure(name, MODELS[name], "test"), DATA.n_users, DATA.n_items)
    if isinstance(made, ClosedFormRecommender):
        made.fit(DATA)
        return made
    return made.eval()


def score(scorer: Any, history: History) -> torch.Tensor:
    with torch.no_grad():
        return scorer.score(history, NOBODY[: history.matrix.shape[0]])


def moved(history: History, columns: np.ndarray, width: int) -> History:
    """The history over a wider catalogue, its items at `columns`."""

    def spread(matrix: csr_matrix, values: np.ndarray) -> csr_matrix:
        entries = matrix.tocoo()
        wide = csr_matrix((values, (entries.row, columns[entries.col])), shape=(matrix.shape[0], width))
        wide.sort_indices()
        return wide

    assert history.rank is not None and history.disliked is not None
    ranks = spread(history.matrix, history.rank + 1)
    ones = csr_matrix((np.ones(ranks.nnz, np.float32), ranks.indices, ranks.indptr), shape=ranks.shape)
    disliked = spread(history.disliked, history.disliked.data)
    return History(ones, (ranks.data - 1).astype(np.int32), disliked)


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_the_models_own_and_what_it_does_not_know_comes_last(name: str) -> None:
    mine, width = model(name), DATA.n_items + 7
    columns = np.random.default_rng(0).permutation(width)[: DATA.n_items]
    other = np.array([f"new {column}" for column in range(width)])
    other[columns] = DATA.items
    scorer = Translated(mine, DATA.items.tolist(), other.tolist())
    assert scorer.known.sum() == DATA.n_items and scorer.known[columns].all()
    found = score(scorer, moved(DATA.history(), columns, width))
    torch.testing.assert_close(found[:, columns], score(mine, DATA.history()))
    assert (found[:, ~scorer.known] < found[:, scorer.known].amin(dim=1, keepdim=True)).all() and found.isfinite().all()


def test_what_the_model_does_not_know_is_dropped_from_histories() -> None:
    """A tenth of the items are new: the order of the others stays, without gaps."""
    scorer = Translated(model("markov_chain"), DATA.items[4:].tolist(), DATA.items.tolist())
    history = DATA.history()
    found = scorer.history(history)
    assert found.rank is not None and found.disliked is not None
    expected = [[item - 4 for item in row if item >= 4] for row in rows(history)]
    assert rows(found) == expected and any(len(row) < 5 for row in expected)
    np.testing.assert_array_equal(found.matrix.toarray(), history.matrix.toarray()[:, 4:])
    np.testing.assert_array_equal(found.disliked.toarray(), DATA.disliked.toarray()[:, 4:])
    without = scorer.history(replace(history, rank=None, disliked=None))
    assert without.rank is None and (without.matrix != found.matrix).nnz == 0


def rows(history: History) -> list[list[int]]:
    """The items of each user, oldest first."""
    events = history.in_order()
    return [events.items[start:end].tolist() for start, end in zip(events.starts, events.ends, strict=True)]


def test_it_is_ranked_as_any_other() -> None:
    """New items that nobody can know cost what they hold of the truth, and nothing else."""
    ease = model("ease")
    more = [f"new {item}" for item in range(3)]
    none = csr_matrix((DATA.n_users, 3), dtype=np.float32)
    wider = {part: csr_matrix(hstack([getattr(DATA, part), none])) for part in ("train", "valid")}
    data = replace(DATA, **wider, items=np.array([*DATA.items, *more]), disliked=None)
    scorer = Translated(ease, DATA.items.tolist(), data.items.tolist())
    assert validate(scorer, data).metrics()["ndcg_at_10"] == validate(ease, DATA).metrics()["ndcg_at_10"]
