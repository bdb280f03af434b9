"""The published datasets: exact counts."""

import numpy as np
import pytest

from unblur.data import store
from unblur.data.prepare import prepare
from unblur.data.request import DataRequest
from unblur.data.test_set import TestSet
from unblur.errors import UserError

pytestmark = pytest.mark.real_data

COUNTS = {
    "ml_1m": (5949, 2810, 571_531),
    "amazon_toys": (4149, 2474, 44_978),
    "amazon_beauty": (5114, 2658, 62_342),
    "amazon_tools": (3360, 1796, 26_464),
    "beauty_5core": (22_363, 12_101, 198_502),
    "toys_5core": (19_412, 11_924, 167_597),
    "tools_5core": (16_638, 10_217, 134_476),
    "ml_1m_sequences": (6040, 3706, 1_000_209),
    "amazon_kitchen": (13_692, 7722, 160_256),
    "diffrec_ml_1m_clean": (5949, 2810, 571_531),
    "diffrec_ml_1m_noisy": (5949, 3494, 618_297),
    "yelp2018": (31_668, 38_048, 1_561_406),
}


@pytest.fixture(scope="module")
def prepared(data_dir, tmp_path_factory):
    storage = tmp_path_factory.mktemp("storage")

    def get(**request):
        found = prepare(DataRequest(**request), data_dir, storage)
        dataset = store.load_dataset(found.folder)
        return found, dataset, TestSet.open("a test", storage, dataset).test

    return get


DIGESTS = {
    "amazon_toys": "e33ca889fc77",
    "amazon_beauty": "f50b572bd8d7",
    "amazon_tools": "82a8449652e7",
    "diffrec_ml_1m_clean": "b79a70384b2e",
    "diffrec_ml_1m_noisy": "c97262f5bfd0",
    "yelp2018": "7378cfa6dc4f",
}
"""Of the data that the figures in docs/results.md are of."""


@pytest.mark.parametrize("name", DIGESTS)
def test_published_figures_are_of_these_very_data(name, prepared):
    assert prepared(dataset=name)[0].digest.startswith(DIGESTS[name])


UNORDERED = {"amazon_kitchen": "per_user_random"}
"""The text of Kitchen is sorted by item, so that it needs a division at random."""


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name, prepared):
    facts = prepared(dataset=name, split=UNORDERED.get(name))[0].facts
    assert (facts.users, facts.items, facts.train + facts.valid + facts.test) == COUNTS[name]


def test_leave_one_out_on_beauty(prepared, data_dir):
    """The rows of the text, which is in order of time: the last item is the test, the one before it the validation."""
    _, dataset, test = prepared(dataset="beauty_5core")
    lines = (data_dir / "amazon_2014_5core" / "Beauty.txt").read_text().splitlines()
    rows = {user: items for user, *items in map(str.split, lines)}
    history = dataset.known(with_valid=True).in_order()
    assert dataset.train.nnz == 198_502 - 2 * 22_363
    for row in range(0, dataset.n_users, 100):
        mine = dataset.items[history.items[history.starts[row] : history.ends[row]]].tolist()
        assert [*mine, *dataset.items[test[row].indices]] == rows[dataset.users[row]]
        assert dataset.items[dataset.valid[row].indices].tolist() == rows[dataset.users[row]][-2:-1]


def test_how_ties_are_ordered_changes_the_last_item_of_a_quarter_of_ml_1m(prepared):
    by_file, by_item = (prepared(dataset="ml_1m_sequences", ties=ties)[2] for ties in ("file", "item"))
    changed = (by_file != by_item).nnz / 2
    assert 1000 < changed < 2500


def test_our_train_of_ml_1m_has_the_size_of_diffrecs(prepared):
    ours, theirs = prepared(dataset="ml_1m")[1], prepared(dataset="diffrec_ml_1m_clean")[1]
    assert ours.train.nnz == theirs.train.nnz == 403_277
    sizes = [np.sort(np.diff(dataset.train.indptr)) for dataset in (ours, theirs)]
    assert np.array_equal(*sizes)
    assert theirs.train_rank is not None and theirs.valid_rank is None


def test_diffrec_parts_are_the_files(prepared, data_dir):
    for name, folder in (("diffrec_ml_1m_clean", "ml-1m_clean"), ("diffrec_ml_1m_noisy", "ml-1m_noisy")):
        _, dataset, test = prepared(dataset=name)
        for part, matrix in (("train", dataset.train), ("valid", dataset.valid), ("test", test)):
            pairs = np.load(data_dir / "diffrec" / folder / f"{part}_list.npy", allow_pickle=False)
            assert matrix.nnz == len(pairs)
            assert (matrix[pairs[:, 0], pairs[:, 1]] == 1).all()


def test_both_forms_of_toys_give_the_same_data(prepared, data_dir, tmp_path):
    folder = tmp_path / "amazon_2014_5core"
    folder.mkdir()
    (folder / "Toys_and_Games.txt").symlink_to(data_dir / "amazon_2014_5core" / "Toys_and_Games.txt")
    text = prepare(DataRequest(dataset="amazon_toys"), tmp_path, tmp_path)
    assert text.digest == prepared(dataset="amazon_toys")[0].digest
    assert not text.facts.has_ratings


def test_a_file_sorted_by_item_is_not_taken_for_one_in_time_order(prepared):
    with pytest.raises(UserError, match=r"Home_and_Kitchen.txt: has no order in time \(every user's items are sorted"):
        prepared(dataset="amazon_kitchen")
    facts = prepared(dataset="amazon_kitchen", split="per_user_random")[0].facts
    assert not facts.has_order


def test_natural_noise_on_ml_1m(prepared):
    clean, noisy = prepared(dataset="ml_1m"), prepared(dataset="ml_1m", protocol="noisy_natural")
    assert noisy[1].train.nnz == clean[1].train.nnz and noisy[1].valid.nnz == clean[1].valid.nnz
    pairs = []
    for _, dataset, test in (clean, noisy):
        user, item = test.nonzero()
        pairs.append(set(zip(dataset.users[user].tolist(), dataset.items[item].tolist(), strict=True)))
    assert pairs[0] == pairs[1]


def test_diffrecs_test_part_of_ml_1m_lies_before_its_validation_part(prepared):
    """Its numbers of users and items differ from ours, so both are found again by who has what.

    Our division of what follows train is in time: validation, then test. If theirs were as well, or random, at least a
    third of their test part would be in ours.
    """
    (_, ours, our_test), (told, theirs, their_test) = (prepared(dataset=n) for n in ("ml_1m", "diffrec_ml_1m_clean"))
    assert any("test part lies before the validation part" in line for line in told.report)
    whole = [ours.train + ours.valid + our_test, theirs.train + theirs.valid + their_test]
    places = [{tuple(np.sort(column.indices)): i for i, column in enumerate(matrix.T.tocsr())} for matrix in whole]
    assert places[0].keys() == places[1].keys() and len(places[0]) == 2810
    items = [places[0][users] for users in places[1]]  # of theirs, in their order
    assert (whole[0][:, items] != whole[1]).nnz == 0, "users are in the same order"
    # many ratings of a user are of the same second, and their order is not ours
    assert ours.train[:, items].multiply(theirs.train).nnz > 0.9 * ours.train.nnz
    assert our_test[:, items].multiply(their_test).nnz < 0.01 * their_test.nnz
    assert our_test[:, items].multiply(theirs.valid).nnz > 0.98 * our_test.nnz
