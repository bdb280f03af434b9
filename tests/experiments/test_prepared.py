"""Prepared data as experiments use them: what is wrong with a history is known before anything starts."""

from dataclasses import replace

import pytest
from rich.console import Console
from tests.helpers.synthetic import communities

from unblur import models
from unblur.data.dataset import HistoryName
from unblur.errors import UserError
from unblur.experiments.prepared import ordered_as_seen
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


def test_where_both_have_one_nothing_changes() -> None:
    assert ordered_as_seen(ORDERED, "train+valid", Console(quiet=True)) is ORDERED
