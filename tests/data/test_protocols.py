"""Noise: the test set unchanged, sizes as promised, no item twice, nothing from the future."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.drawn import pairs, ratings

from unblur.data import protocols, store
from unblur.data.filters import MinRating, apply
from unblur.data.interactions import HIDDEN, TEST, TRAIN, VALID
from unblur.data.prepared_folder import folder_of
from unblur.data.splits import per_user_time
from unblur.errors import UserError


def sizes(frame):
    return frame.groupby(["user", "part"]).size().to_dict()


@given(rows=ratings, seed=st.integers(0, 5))
def test_natural_noise_keeps_test_and_sizes(make, rows, seed):
    everything = make([*rows, (99, 99, 5, 0)])
    clean = per_user_time(apply(everything, [MinRating(4)]))
    noisy = protocols.noisy_natural(everything, clean, 4, np.random.default_rng(seed))
    assert pairs(noisy.frame, TEST) == pairs(clean.frame, TEST)
    assert sizes(noisy.frame) == sizes(clean.frame)
    assert not noisy.frame.duplicated(["user", "item"]).any()
    assert set(noisy.frame.index) <= set(everything.frame.index)
    for _, mine in noisy.frame.groupby("user"):
        time = mine.timestamp
        for earlier, later in ((TRAIN, VALID), (VALID, TEST), (TRAIN, TEST)):
            if {earlier, later} <= set(mine.part):
                assert time[mine.part == earlier].max() <= time[mine.part == later].min()


def test_natural_noise_is_there(make):
    everything = make([("u", item, 2 if item % 2 else 5, item) for item in range(200)])
    clean = per_user_time(apply(everything, [MinRating(4)]))
    noisy = protocols.noisy_natural(everything, clean, 4, np.random.default_rng(0)).frame
    share = (noisy[noisy.part == TRAIN].rating < 4).mean()
    assert 0.3 < share < 0.7


def test_natural_noise_needs_ratings(make):
    data = make([("u", item) for item in range(9)], timestamp=np.arange(9.0))
    with pytest.raises(UserError, match="noisy_natural needs ratings"):
        protocols.noisy_natural(data, per_user_time(data), 4, np.random.default_rng(0))


@given(rows=ratings, seed=st.integers(0, 5), share=st.sampled_from([0.1, 0.3, 0.5]))
def test_random_noise_adds_unmet_items(make, rows, seed, share):
    clean = per_user_time(make(rows))
    noisy = protocols.noisy_random(clean, share, np.random.default_rng(seed))
    assert pairs(noisy.frame, TEST) == pairs(clean.frame, TEST)
    assert not noisy.frame.duplicated(["user", "item"]).any()
    assert noisy.frame.index.is_unique
    assert noisy.frame.iloc[: len(clean.frame)].equals(clean.frame)
    before, after = sizes(clean.frame), sizes(noisy.frame)
    items = clean.frame.item.nunique()
    for (user, part), count in before.items():
        free = items - (clean.frame.user == user).sum()
        wanted = 0 if part == TEST else min(round(share * count), free // 4)
        assert after[user, part] == count + wanted


def test_no_noise_is_the_clean_data(make, tmp_path):
    clean = per_user_time(make([(user, item, 5, item) for user in range(4) for item in range(10)]))
    noisy = protocols.noisy_random(clean, 0.0, np.random.default_rng(0))
    assert store.write(noisy, tmp_path) == store.write(clean, tmp_path)


@given(rows=ratings, seed=st.integers(0, 5))
def test_sparse_train_keeps_a_growing_share_of_each_user_and_hides_the_rest(make, rows, seed):
    clean = per_user_time(make(rows))
    before, whole = sizes(clean.frame), pairs(clean.frame, TRAIN)
    smaller = set()
    for share in (0.1, 0.5, 0.75, 1.0):
        found = protocols.sparse(clean, share, np.random.default_rng(seed)).frame
        for part in (VALID, TEST):
            assert pairs(found, part) == pairs(clean.frame, part)
        kept, hidden = pairs(found, TRAIN), pairs(found, HIDDEN)
        assert smaller <= kept and not kept & hidden and kept | hidden == whole
        for user in set(clean.frame.user):
            assert sizes(found)[user, TRAIN] == max(round(share * before[user, TRAIN]), 1)
        smaller = kept
    assert smaller == whole


def test_what_is_hidden_of_train_is_stored_beside_it(make, tmp_path):
    clean = per_user_time(make([(user, (user + item) % 20, 5, item) for user in range(20) for item in range(15)]))
    frame = protocols.sparse(clean, 0.3, np.random.default_rng(0)).frame
    digest = store.write(replace(clean, frame=frame), tmp_path)
    found = store.load_dataset(folder_of(tmp_path, digest))
    assert set(zip(*found.hidden.nonzero(), strict=True)) == pairs(frame, HIDDEN)
    assert (found.masked != found.train + found.hidden).nnz == 0
    told = frame[frame.part == TRAIN].sort_values(["user", "timestamp"]).groupby("user").item.apply(list)
    assert [row[row < 20].tolist() for row in found.history().sequences(15)[0]] == told.tolist()


def test_random_noise_is_uniform_over_unmet_items(make):
    rows = [(user, (user + step) % 20, 5, step) for user in range(400) for step in range(10)]
    clean = per_user_time(make(rows))
    noise = protocols.noisy_random(clean, 0.5, np.random.default_rng(0)).frame.iloc[len(clean.frame) :]
    counts = np.bincount(noise.item, minlength=20)
    expected = len(noise) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 40  # chi-square, 19 degrees of freedom: p > .003
