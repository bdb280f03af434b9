"""Low ratings beside train: all of those that are known by then, none that tells of validation or test."""

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.drawn import pairs, ratings

from unblur.data import store
from unblur.data.dislikes import with_dislikes
from unblur.data.filters import MinRating, apply
from unblur.data.interactions import DISLIKED, TEST, TRAIN, VALID
from unblur.data.prepare import prepare
from unblur.data.prepared_folder import SEARCH
from unblur.data.protocols import noisy_random
from unblur.data.request import DataRequest
from unblur.data.splits import global_time, per_user_time
from unblur.data.test_set import TestSet
from unblur.errors import UserError


def last_of_train(data):
    """The place in time, then in the file, of each user's last training interaction."""
    train = data.frame[data.frame.part == TRAIN]
    return {user: max(zip(mine.timestamp, mine.index, strict=True)) for user, mine in train.groupby("user")}


@given(drawn=ratings, by_user=st.booleans())
def test_dislikes_are_the_low_ratings_before_the_last_of_train(make, drawn, by_user):
    everything = make([*drawn, (99, 99, 5, 0)])
    hits = apply(everything, [MinRating(4)])
    try:
        data = per_user_time(hits) if by_user else global_time(hits)
    except UserError:  # too few different times for a global split
        return
    found = with_dislikes(everything, data, 4)
    last, catalogue = last_of_train(data), set(data.frame.item)
    expected = {
        (row.user, row.item)
        for row in everything.frame.itertuples()
        if row.rating < 4 and row.item in catalogue and (row.timestamp, row.Index) < last.get(row.user, (-np.inf, 0))
    }
    assert pairs(found.frame, DISLIKED) == expected
    for part in (TRAIN, VALID, TEST):
        assert pairs(found.frame, part) == pairs(data.frame, part)
        assert not pairs(found.frame, part) & expected


@given(drawn=ratings, seed=st.integers(0, 3))
def test_what_comes_after_train_does_not_matter(make, drawn, seed):
    """Ratings of the time of validation and test are drawn anew: the dislikes stay."""
    everything = make([*drawn, (99, 99, 5, 0)])
    data = per_user_time(apply(everything, [MinRating(4)]))
    last = last_of_train(data)
    frame = everything.frame
    later = [(row.timestamp, row.Index) > last.get(row.user, (-np.inf, 0)) for row in frame.itertuples()]
    drawn_anew = np.random.default_rng(seed).integers(1, 6, len(frame)).astype(float)
    changed = everything.frame.assign(rating=np.where(later, drawn_anew, frame.rating))
    other = type(everything)(changed, everything.users, everything.items, everything.file, everything.clock)
    found, again = (with_dislikes(each, data, 4).frame for each in (everything, other))
    assert pairs(found, DISLIKED) == pairs(again, DISLIKED)


def test_what_noise_has_made_a_positive_is_no_dislike(make):
    everything = make([(user, item, 5 if (user + item) % 2 else 1, item) for user in range(12) for item in range(24)])
    clean = per_user_time(apply(everything, [MinRating(4)]))
    noisy = noisy_random(clean, 0.5, np.random.default_rng(0))
    found = with_dislikes(everything, noisy, 4)
    assert pairs(found.frame, DISLIKED)
    assert not pairs(found.frame, DISLIKED) & (pairs(noisy.frame, TRAIN) | pairs(noisy.frame, VALID))


def test_without_a_threshold_ratings_or_an_order_there_are_none(make):
    everything = make([(user, item, 5 if (user + item) % 2 else 1, item) for user in range(4) for item in range(20)])
    data = per_user_time(apply(everything, [MinRating(4)]))
    assert with_dislikes(everything, data, 4) is not data
    assert with_dislikes(everything, data, None) is data
    unrated = type(everything)(everything.frame.assign(rating=np.nan), *_rest(everything))
    assert with_dislikes(unrated, data, 4) is data
    unordered = type(data)(data.frame.assign(timestamp=np.nan), *_rest(data))
    assert with_dislikes(everything, unordered, 4) is unordered


def _rest(data):
    return data.users, data.items, data.file, data.clock


def test_prepared_data_know_them_when_there_is_a_threshold(tmp_path: Path) -> None:
    plain = prepare(DataRequest(), None, tmp_path)
    rated = prepare(DataRequest(min_rating=4), None, tmp_path)
    noisy = prepare(DataRequest(min_rating=4, protocol="noisy_natural"), None, tmp_path)
    assert store.load_dataset(plain.folder).disliked is None and plain.facts.disliked == 0
    assert store.load_dataset(noisy.folder).disliked is None
    dataset = store.load_dataset(rated.folder)
    assert dataset.disliked is not None and dataset.disliked.nnz == rated.facts.disliked > 1000
    held_out = dataset.train + dataset.valid + TestSet.open("a test", tmp_path, dataset).test
    assert dataset.disliked.multiply(held_out).nnz == 0
    assert any("kept as dislikes" in line for line in rated.report)
    for with_valid in (False, True):
        some = dataset.known(with_valid).rows(np.array([5, 2]))
        assert some.disliked is not None and (some.disliked != dataset.disliked[[5, 2]]).nnz == 0


def test_data_without_dislikes_are_stored_as_ever(make, tmp_path):
    """Their digest must not change, or every study on them would begin anew."""
    everything = make([(user, item, 5 if (user + item) % 2 else 1, item) for user in range(4) for item in range(20)])
    data = per_user_time(apply(everything, [MinRating(4)])).compact()
    digest = store.write(data, tmp_path)
    assert "disliked_indices" not in store.load(tmp_path.joinpath("data", digest, SEARCH).read_bytes())
    rated = with_dislikes(everything, per_user_time(apply(everything, [MinRating(4)])), 4).compact()
    assert store.write(rated, tmp_path) != digest
    assert isinstance(rated.frame, pd.DataFrame) and len(rated.items) == len(data.items)
