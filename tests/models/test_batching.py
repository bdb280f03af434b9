"""Batches of rows: every row once an epoch, in an order of its own, whatever the number of workers."""

import numpy as np
import pytest

from unblur.models.batching import epoch_rng, shares

ROWS = np.arange(100, 203)


@pytest.mark.parametrize("world", [1, 2, 5])
def test_the_ranks_shares_make_up_the_batches_and_the_batches_all_rows(world: int) -> None:
    by_rank = [list(shares(ROWS, 20, epoch_rng(3, 1), 1, rank, world)) for rank in range(world)]
    seen = []
    for batch in zip(*by_rank, strict=True):
        rows = np.concatenate([share.rows for share in batch])
        assert {share.size for share in batch} == {len(rows)}
        seen.append(rows)
    assert [len(rows) for rows in seen] == [20] * 5 + [3]
    assert sorted(np.concatenate(seen)) == ROWS.tolist()


def test_updates_count_on_over_epochs_also_after_a_resume() -> None:
    found = [share.update for epoch in (0, 1, 2) for share in shares(ROWS, 20, epoch_rng(0, epoch), epoch)]
    assert found == list(range(18))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [next(shares(ROWS, 200, epoch_rng(*each), 0)).rows.tolist() for each in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert orders[0] == orders[3] and orders[0] not in orders[1:3] and orders[1] != orders[2]
