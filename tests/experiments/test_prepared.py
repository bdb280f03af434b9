"""Prepared data as experiments use them: what is wrong with a history is known before anything starts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.sparse import csr_matrix
from tests.helpers.synthetic import communities

from unblur import models
from unblur.data.dataset import HistoryName
from unblur.data.request import DataRequest
from unblur.data.store import Facts
from unblur.errors import UserError
from unblur.experiments.prepared import PreparedData, ordered_as_seen
from unblur.models.needs import refuse_unmet

ORDERED = communities(n_users=8)
HALF = replace(ORDERED, valid_rank=None)
"""As DiffRec's lists: train in order, validation not."""


@pytest.mark.parametrize(("history", "weighs"), [("train", True), ("train+valid", False)])
def test_a_history_without_an_order_is_told_at_the_start(history: HistoryName, weighs: bool) -> None:
    console, config = Console(record=True, quiet=True), models.configure("ease", {"w_min": 0.3}, "test")
    dataset = ordered_as_seen(HALF, history, console)
    assert (dataset.train_rank is not None) == weighs
    if weighs:
        refuse_unmet(config, dataset)
    else:
        with pytest.raises(UserError, match=r"w_min = 0\.3 needs an order in time"):
            refuse_unmet(config, dataset)


def test_the_record_says_what_share_of_validation_nobody_can_have_learned() -> None:
    train = csr_matrix(np.eye(4, dtype=np.float32))
    asked = np.zeros((4, 4), dtype=np.float32)
    asked[0, 1] = asked[1, 2] = asked[2, 3] = asked[3, 0] = 1
    train[3, 3] = 0
    train.eliminate_zeros()  # now nobody has item 3, which one of four is asked for
    facts = Facts(users=4, items=4, train=3, valid=4, test=0, has_order=False, has_ratings=False, source_digest="")
    for part, share in ((csr_matrix(asked), 0.25), (csr_matrix((4, 4), dtype=np.float32), 0.0)):
        dataset = replace(ORDERED, train=train, valid=part, items=np.array(list("abcd")))
        data = PreparedData(DataRequest(dataset="sample"), dataset, facts, Path(), "train")
        assert data.logged().facts["valid_untrained"] == share


def test_where_both_have_one_nothing_changes() -> None:
    assert ordered_as_seen(ORDERED, "train+valid", Console(quiet=True)) is ORDERED
