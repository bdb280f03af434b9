"""The store: what goes in comes out, the test part stays locked, damage is found, nothing is half written."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unblur.data import openings, store
from unblur.data.interactions import TEST, TRAIN, VALID
from unblur.data.prepared_folder import META, SEARCH, TEST_FILE, folder_of, is_sound
from unblur.data.splits import per_user_time
from unblur.data.test_set import TestSet
from unblur.errors import UserError

ROWS = [(user, (3 * user + step) % 11, 5, 100 - step) for user in range(6) for step in range(8)]


@pytest.fixture
def dataset(make):
    return per_user_time(make(ROWS)).compact()


def triples(data, part):
    """(user, item, rank) by raw id, ranks by brute force."""
    frame = data.frame[data.frame.part == part]
    found = set()
    for user, mine in frame.groupby("user"):
        ordered = mine.sort_values("timestamp", kind="stable").item
        found |= {(data.users[user], data.items[item], rank) for rank, item in enumerate(ordered)}
    return found


def stored(dataset, matrix, rank):
    user = np.repeat(np.arange(dataset.n_users), np.diff(matrix.indptr))
    return set(zip(dataset.users[user].tolist(), dataset.items[matrix.indices].tolist(), rank.tolist(), strict=True))


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.just(5), st.integers(0, 9)), min_size=1, max_size=60)


@given(rows=rows)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(make, tmp_path, rows):
    data = per_user_time(make(rows)).compact()
    digest = store.write(data, tmp_path)
    dataset = store.load_dataset(folder_of(tmp_path, digest))
    test = TestSet.open("a test", tmp_path, dataset).test
    assert stored(dataset, dataset.train, dataset.train_rank) == triples(data, TRAIN)
    assert stored(dataset, dataset.valid, dataset.valid_rank) == triples(data, VALID)
    assert {pair[:2] for pair in stored(dataset, test, test.indices)} == {pair[:2] for pair in triples(data, TEST)}
    assert dataset.digest == digest
    for matrix in (dataset.train, dataset.valid, test):
        assert matrix.dtype == np.float32 and matrix.has_canonical_format
        assert matrix.shape == (dataset.n_users, dataset.n_items)
        assert (matrix.data == 1).all()


def test_digest_is_of_content_test_part_included(dataset, make, tmp_path):
    digest = store.write(dataset, tmp_path)
    assert store.write(dataset, tmp_path / "elsewhere") == digest
    moved = dataset.frame.assign(part=dataset.frame.part.where(dataset.frame.part != TEST, VALID))
    moved.iloc[-1, moved.columns.get_loc("part")] = TEST
    assert store.write(type(dataset)(moved, dataset.users, dataset.items, dataset.file, True), tmp_path) != digest


def test_the_test_file_is_not_opened_for_a_search(dataset, tmp_path):
    digest = store.write(dataset, tmp_path)
    folder = folder_of(tmp_path, digest)
    (folder / TEST_FILE).unlink()
    loaded = store.load_dataset(folder)
    assert loaded.n_users == 6
    with pytest.raises(UserError, match=r"test.safetensors: cannot be read .* prepare the dataset again"):
        TestSet.open("a test", tmp_path, loaded)
    assert openings.read(folder) == []
    with (folder / SEARCH).open("rb") as file:
        assert b"test" not in file.read()


@pytest.mark.parametrize("name", [SEARCH, TEST_FILE, META])
def test_damage_is_found_and_mended(dataset, tmp_path, name):
    digest = store.write(dataset, tmp_path)
    file = folder_of(tmp_path, digest) / name
    loaded = store.load_dataset(file.parent)
    TestSet.open("before the damage", tmp_path, loaded)
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    assert not is_sound(folder_of(tmp_path, digest))
    with pytest.raises(UserError, match=r"has changed since it was written"):
        store.load_dataset(file.parent)
        TestSet.open("damaged", tmp_path, loaded)
    assert store.write(dataset, tmp_path) == digest
    assert is_sound(folder_of(tmp_path, digest))
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == [digest]
    assert sorted(each.name for each in file.parent.iterdir()) == sorted([META, openings.LOG, SEARCH, TEST_FILE])
    assert openings.reasons(file.parent) == {"before the damage": 1}


@pytest.mark.parametrize("sound", [0, 1, 2])
def test_a_failed_write_is_no_data_and_is_mended(dataset, tmp_path, monkeypatch, sound):
    with monkeypatch.context() as patched:
        write, left = store.write_bytes, [None] * sound

        def full(place, *content):
            if not left:
                raise OSError("no space left on device")
            left.pop()
            write(place, *content)

        patched.setattr(store, "write_bytes", full)
        with pytest.raises(UserError, match=r"cannot be written \(no space left on device\); choose another --storage"):
            store.write(dataset, tmp_path)
    folders = list((tmp_path / "data").iterdir()) if sound else []
    assert len(folders) == bool(sound)
    for folder in folders:
        assert not is_sound(folder)
        with pytest.raises(UserError, match="prepare the dataset again"):
            store.load_dataset(folder)
    assert is_sound(folder_of(tmp_path, store.write(dataset, tmp_path)))


def test_two_writers_at_once_both_succeed(dataset, tmp_path, monkeypatch):
    """The other one writes all of it between two files of ours."""
    write = store.write_bytes

    def late(place, *content):
        monkeypatch.setattr(store, "write_bytes", write)
        store.write(dataset, tmp_path)
        write(place, *content)

    monkeypatch.setattr(store, "write_bytes", late)
    digest = store.write(dataset, tmp_path)
    assert is_sound(folder_of(tmp_path, digest))
    assert [each.name for each in (tmp_path / "data").iterdir()] == [digest]


def test_unwritable_storage(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--storage"):
        store.write(dataset, tmp_path / "file")


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="holds no prepared data"):
        store.load_dataset(tmp_path / "nothing")


def test_no_order_means_no_rank(make, tmp_path):
    data = make([("a", 1), ("a", 2), ("a", 3)], part=[TRAIN, VALID, TEST])
    dataset = store.load_dataset(folder_of(tmp_path, store.write(data, tmp_path)))
    assert dataset.train_rank is None and dataset.valid_rank is None


def test_records_survive_only_whole(dataset, tmp_path):
    facts = store.Facts(users=1, items=1, train=1, valid=1, test=1, has_order=True, has_ratings=True, source_digest="0")
    record = store.Record(digest=store.write(dataset, tmp_path), report=["é"], facts=facts)
    store.remember(tmp_path, "key", record)
    assert store.recall(tmp_path, "key") == record
    assert store.recall(tmp_path, "other") is None
    file = tmp_path / "data" / "requests" / "key.json"
    for broken in ("{", json.dumps({"digest": record.digest}), ""):
        file.write_text(broken)
        assert store.recall(tmp_path, "key") is None
