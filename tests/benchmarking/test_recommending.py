"""The benchmark of recommendations: made data of the promised form, and a file with everyone in it."""

import numpy as np

from unblur.benchmarking import recommending


def test_the_made_users_have_what_is_promised() -> None:
    data = recommending.made(20)
    assert data.train.shape == (20, recommending.ITEMS)
    both = data.train + data.valid
    assert both.max() == 1 and (np.diff(both.tocsr().indptr) <= recommending.LENGTH).all()
    assert (np.diff(data.train.indptr) == recommending.LENGTH - recommending.HELD_OUT).all()
    assert data.train_rank is not None
    for user in range(20):
        ranks = data.train_rank[data.train.indptr[user] : data.train.indptr[user + 1]]
        assert sorted(ranks) == list(range(len(ranks)))


def test_everyone_is_written() -> None:
    found = recommending.measure(users=12, hidden=4, batch_size=6)
    assert found.rows == 12 * recommending.K and found.bytes > 0 and min(found.seconds, found.training) > 0
