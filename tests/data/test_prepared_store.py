"""The store: what goes in comes out, the test part stays locked, damage is found, nothing is half written."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unblur.data import store
from unblur.data.interactions import TEST, TRAIN, VALID
from unblur.data.splitting import per_user_time
from unblur.errors import UserError

ROWS = [(user, (3 * user + step) % 11, 5, 100 - step) for user in range(6) for step in range(8)]


@pytest.fixture
def split(make):
    return per_user_time(make(ROWS)).compact()


def triples(data, part):
    """(user, item, rank) by raw id, ranks by brute force."""
    frame = data.frame[data.frame.part == part]
    found = set()
    for user, mine in frame.groupby("user"):
        ordered = mine.sort_values("timestamp", kind="stable").item
        found |= {(data.users[user], data.items[item], rank) for rank, item in enumerate(ordered)}
    return found


def stored(split, matrix, rank):
    user = np.repeat(np.arange(split.n_users), np.diff(matrix.indptr))
    return set(zip(split.users[user].tolist(), split.items[matrix.indices].tolist(), rank.tolist(), strict=True))


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.just(5), st.integers(0, 9)), min_size=1, max_size=60)


@given(rows=rows)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(make, tmp_path, rows):
    data = per_user_time(make(rows)).compact()
    digest = store.write(data, tmp_path)
    split = store.load_split(store.folder_of(tmp_path, digest))
    test = store.load_test(tmp_path, digest)
    assert stored(split, split.train, split.train_rank) == triples(data, TRAIN)
    assert stored(split, split.valid, split.valid_rank) == triples(data, VALID)
    assert {pair[:2] for pair in stored(split, test, test.indices)} == {pair[:2] for pair in triples(data, TEST)}
    assert split.digest == digest
    for matrix in (split.train, split.valid, test):
        assert matrix.dtype == np.float32 and matrix.has_canonical_format
        assert matrix.shape == (split.n_users, split.n_items)
        assert (matrix.data == 1).all()


def test_digest_is_of_content_test_part_included(split, make, tmp_path):
    digest = store.write(split, tmp_path)
    assert store.write(split, tmp_path / "elsewhere") == digest
    moved = split.frame.assign(part=split.frame.part.where(split.frame.part != TEST, VALID))
    moved.iloc[-1, moved.columns.get_loc("part")] = TEST
    assert store.write(type(split)(moved, split.users, split.items, split.file, True), tmp_path) != digest


def test_the_test_file_is_not_opened_for_a_search(split, tmp_path):
    digest = store.write(split, tmp_path)
    folder = store.folder_of(tmp_path, digest)
    (folder / store.LOCKED).unlink()
    assert store.load_split(folder).n_users == 6
    with pytest.raises(UserError, match=r"test.safetensors: cannot be read .* prepare the dataset again"):
        store.load_test(tmp_path, digest)
    with (folder / store.SEARCH).open("rb") as file:
        assert b"test" not in file.read()


@pytest.mark.parametrize("name", [store.SEARCH, store.LOCKED, store.META])
def test_damage_is_found_and_mended(split, tmp_path, name):
    digest = store.write(split, tmp_path)
    file = store.folder_of(tmp_path, digest) / name
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    assert not store.is_sound(tmp_path, digest)
    with pytest.raises(UserError, match=r"has changed since it was written"):
        store.load_split(file.parent)
        store.load_test(tmp_path, digest)
    assert store.write(split, tmp_path) == digest
    assert store.is_sound(tmp_path, digest)
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == [digest]
    assert len(list(file.parent.iterdir())) == 3


def test_a_failed_write_leaves_nothing_in_place(split, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match=r"cannot be written \(no space left on device\); choose another --storage"):
        store.write(split, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_two_writers_at_once_both_succeed(split, tmp_path, monkeypatch):
    """The other one finishes between our check and our rename."""
    rename = Path.rename

    def late(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        store.write(split, tmp_path)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    digest = store.write(split, tmp_path)
    assert store.is_sound(tmp_path, digest)
    assert [each.name for each in (tmp_path / "data").iterdir()] == [digest]


def test_unwritable_storage(split, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--storage"):
        store.write(split, tmp_path / "file")


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="holds no prepared data"):
        store.load_split(tmp_path / "nothing")


def test_no_order_means_no_rank(make, tmp_path):
    data = make([("a", 1), ("a", 2), ("a", 3)], part=[TRAIN, VALID, TEST])
    split = store.load_split(store.folder_of(tmp_path, store.write(data, tmp_path)))
    assert split.train_rank is None and split.valid_rank is None


def test_records_survive_only_whole(split, tmp_path):
    facts = store.Facts(users=1, items=1, train=1, valid=1, test=1, has_order=True, has_ratings=True, source_digest="0")
    record = store.Record(digest=store.write(split, tmp_path), report=["é"], facts=facts)
    store.remember(tmp_path, "key", record)
    assert store.recall(tmp_path, "key") == record
    assert store.recall(tmp_path, "other") is None
    file = tmp_path / "data" / "requests" / "key.json"
    for broken in ("{", json.dumps({"digest": record.digest}), ""):
        file.write_text(broken)
        assert store.recall(tmp_path, "key") is None
