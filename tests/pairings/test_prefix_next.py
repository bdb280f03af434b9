"""Each item from what came before it, against a loop over users."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tests.data.test_sequences import part, rows
from tests.helpers.synthetic import chains

from unblur import models
from unblur.data.dataset import History
from unblur.pairings import prefix_next

DATA = chains()


def pairs(histories: list[list[int]], **params: Any) -> list[tuple[int, list[int], int]]:
    pairing = prefix_next.Pairing(prefix_next.Config(**params))
    divided = pairing.divide(History(*part(histories)), np.random.default_rng(0))
    targets, given = divided.shown.matrix, divided.given
    prefixes = [given.items[a:b].tolist() for a, b in zip(given.starts, given.ends, strict=True)]
    assert (np.diff(targets.indptr) == 1).all() and (targets.data == 1).all()
    return list(zip(divided.users.tolist(), prefixes, targets.indices.tolist(), strict=True))


@given(histories=rows)
def test_every_item_but_a_users_first_is_generated_from_all_before_it(histories: list[list[int]]) -> None:
    expected = [(u, items[:k], items[k]) for u, items in enumerate(histories) for k in range(1, len(items))]
    assert pairs(histories) == expected


@given(histories=rows)
def test_or_each_users_last_alone(histories: list[list[int]]) -> None:
    expected = [(u, items[:-1], items[-1]) for u, items in enumerate(histories) if len(items) > 1]
    assert pairs(histories, next_items="last") == expected


@pytest.mark.parametrize("encoder", ["transformer", "bag"])
@pytest.mark.parametrize("next_items", ["every", "last"])
def test_batches_hold_each_pair_once_however_the_history_is_read(encoder: str, next_items: str) -> None:
    given = {"pairing": "prefix_next", "encoder": encoder, "batch_size": 50, "next_items": next_items}
    config = models.configure("cfg_diffrec", given, "test")
    model = models.model_class("cfg_diffrec")(config, DATA.n_users, DATA.n_items)
    found = set()
    for rank in range(3):
        for batch in model.batches(DATA, 0, rank, 3):
            assert batch.size <= 50
            conditions, targets = batch.examples.condition.rows.to_dense(), batch.examples.rows.col_indices()
            found |= {
                (tuple(np.flatnonzero(row)), target)
                for row, target in zip(conditions.numpy(), targets.tolist(), strict=True)
            }
    items = [DATA.history().in_order().rows(np.array([u])) for u in range(DATA.n_users)]
    histories = [each.items[each.places].tolist() for each in items]
    cuts = {"every": lambda n: range(1, n), "last": lambda n: range(n - 1, n)}[next_items]
    assert found == {(tuple(sorted(h[:k])), h[k]) for h in histories for k in cuts(len(h))}


def test_an_epoch_has_the_conditions_that_it_says() -> None:
    for next_items in ("every", "last"):
        pairing = prefix_next.Pairing(prefix_next.Config(next_items=next_items))
        given = pairing.divide(DATA.history(), np.random.default_rng(0)).given
        np.testing.assert_array_equal(given.lengths, pairing.lengths(DATA))
