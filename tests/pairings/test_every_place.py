"""All places of a window at once: the pairs of `prefix_next`, read in one pass."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.test_sequences import part, rows
from tests.helpers.synthetic import chains
from tests.models.test_sequential_diffusion import made

from unblur import models
from unblur.data.dataset import History
from unblur.pairings import every_place

DATA = chains()


@given(histories=rows, length=st.integers(1, 5))
def test_each_row_is_an_item_and_what_lies_before_it_in_its_window(histories: list[list[int]], length: int) -> None:
    pairs = every_place.Pairing(every_place.Config(max_length=length)).divide(
        History(*part(histories)), np.random.default_rng(0)
    )
    given, targets = pairs.given, pairs.shown.matrix.indices.tolist()
    prefixes = [given.items[a:b].tolist() for a, b in zip(given.starts, given.ends, strict=True)]
    found = set(zip(pairs.users.tolist(), map(tuple, prefixes), targets, strict=True))
    expected = set()
    for user, items in enumerate(histories):
        for k in range(1, len(items)):
            behind = -(-(len(items) - k) // length) * length  # windows end at the newest
            expected.add((user, tuple(items[max(0, len(items) - behind - 1) : k]), items[k]))
    assert found == expected and len(targets) == len(expected)


def test_a_batch_is_of_whole_windows_and_counts_their_places() -> None:
    model = made("dreamrec", pairing="every_place", max_length=3)
    batches = [[*model.batches(DATA, 0, rank, 3)] for rank in range(3)]
    whole = [*model.batches(DATA, 0)]
    for i, batch in enumerate(whole):
        shares = [each[i] for each in batches]
        rows = torch.cat([share.examples.rows.to_dense() for share in shares])
        assert {share.size for share in shares} == {batch.size} == {len(rows)}
        assert rows.sum(0).equal(batch.examples.rows.to_dense().sum(0))
        assert len(batch.examples.condition.histories) <= model.config.batch_size
    assert sum(batch.size for batch in whole) == DATA.train.nnz - DATA.n_users


@pytest.mark.parametrize("params", [{"encoder": "bag"}, {"condition_dropout": 0.5}, {}])
def test_it_is_told_what_prefix_next_tells(params: dict[str, Any]) -> None:
    """Whatever reads a history, and also if single items are dropped; at once by what can."""
    given = {"space": "item_embeddings", "encoder": "transformer", "batch_size": 1000, **params}
    found = []
    for pairing in ("every_place", "prefix_next"):
        config = models.configure("cfg_diffrec", {**given, "pairing": pairing}, "test")
        model = models.model_class("cfg_diffrec")(config, DATA.n_users, DATA.n_items)
        (batch,) = model.batches(DATA, 0)
        told = model.pairing.corrupt(batch.examples.condition, None)
        assert len(told.empty) == batch.size == len(batch.examples.rows.to_dense())
        seen = torch.cat([told.rows.to_dense(), batch.examples.rows.to_dense()], 1)
        found.append(sorted(map(tuple, seen.tolist())) if "condition_dropout" not in params else len(seen))
    assert found[0] == found[1]


def test_an_epoch_has_as_many_pairs_and_examples_as_it_says() -> None:
    for length in (2, 50):
        pairing = every_place.Pairing(every_place.Config(max_length=length))
        pairs = pairing.divide(DATA.history(), np.random.default_rng(0))
        assert pairs.windows is not None
        assert sorted(pairs.windows.lengths) == sorted(pairing.lengths(DATA))
        assert len(pairs.users) / len(pairs.examples) == pytest.approx(pairing.of_example(DATA))
