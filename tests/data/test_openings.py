"""The log of the test set's openings: nothing is opened without an entry, and none is lost."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import unblur
from unblur.data import openings, store
from unblur.data.prepared_folder import folder_of
from unblur.data.splits import per_user_time
from unblur.data.test_set import TestSet
from unblur.errors import UserError


@pytest.fixture
def dataset(make, tmp_path):
    rows = [(user, item, 5, item) for user in range(4) for item in range(8)]
    digest = store.write(per_user_time(make(rows)).compact(), tmp_path)
    return store.load_dataset(folder_of(tmp_path, digest))


def test_an_opening_says_who_when_why_and_with_which_code(dataset, tmp_path):
    opened = TestSet.open("ease,\n2 seeds", tmp_path, dataset, "train+valid")
    assert opened.test.nnz == 4 and opened.history == "train+valid"
    (entry,) = openings.read(folder_of(tmp_path, dataset.digest))
    assert entry.why == "ease, 2 seeds" and entry.version == unblur.__version__
    assert "@" in entry.who and entry.when.endswith("+00:00")
    assert entry.commit is None or len(entry.commit.removesuffix("-dirty")) == 40


def test_what_cannot_be_noted_is_not_opened(dataset, tmp_path):
    (folder_of(tmp_path, dataset.digest) / openings.LOG).mkdir()
    with pytest.raises(UserError, match=r"openings.jsonl: cannot be written .* is not opened without a note of it"):
        TestSet.open("a test", tmp_path, dataset)


def append_many(folder: Path, name: str) -> None:
    for number in range(25):
        openings.append(folder, f"{name} {number} {'x' * 5000}")


def test_openings_of_several_processes_are_all_kept(tmp_path):
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        list(pool.map(append_many, [tmp_path] * 3, "abc"))
    found = [opening.why.split()[:2] for opening in openings.read(tmp_path)]
    assert sorted(found) == sorted([name, str(number)] for name in "abc" for number in range(25))


def test_an_entry_cut_short_is_counted_and_spoils_no_other(tmp_path):
    openings.append(tmp_path, "first")
    log = tmp_path / openings.LOG
    log.write_bytes(log.read_bytes() + b'{"when": "2026')
    openings.append(tmp_path, "last")
    assert openings.reasons(tmp_path) == {"first": 1, openings.UNREADABLE: 1, "last": 1}
    assert json.loads(log.read_text().splitlines()[-1])["why"] == "last"


def test_the_sentence_counts():
    assert "No opening" in openings.sentence({})
    assert openings.sentence({"ease": 1}).endswith("opened once: ease.")
    assert openings.sentence({"ease": 2, "slim": 1}).endswith("opened 3 times: ease (2), slim.")
