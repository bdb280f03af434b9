"""Every source, found by its file name, against the same promises; then each raw form."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from unblur.data import sources
from unblur.data.interactions import TEST, TRAIN, Interactions
from unblur.data.request import DataRequest
from unblur.data.sources import source
from unblur.errors import UserError

REQUEST = DataRequest()


def load(name, *files, **request):
    return source(name).load(files, DataRequest(**request))


def raw(data):
    """(user, item) raw ids in row order."""
    frame = data.frame
    return list(zip(data.users[frame.user].tolist(), data.items[frame.item].tolist(), strict=True))


@pytest.mark.parametrize("name", sources.names())
def test_contract(name, tmp_path):
    each = source(name)
    files = each.example(tmp_path)
    data = each.load(files, REQUEST)
    assert isinstance(data, Interactions)
    assert list(data.frame.columns)[:4] == ["user", "item", "rating", "timestamp"]
    assert data.frame.user.between(0, len(data.users) - 1).all()
    assert data.frame.item.between(0, len(data.items) - 1).all()
    assert len(set(data.users)) == len(data.users) and len(set(data.items)) == len(data.items)
    assert not data.frame.duplicated(["user", "item"]).any()
    assert data.frame.index.is_unique
    again = each.load(files, REQUEST)
    assert again.frame.equals(data.frame) and raw(again) == raw(data)


@pytest.mark.parametrize("name", sources.names())
@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "missing", "folder"])
def test_damaged_files_are_named(name, damage, tmp_path):
    files = source(name).example(tmp_path)
    if not files:
        pytest.skip("generated")
    if (name, damage) == ("lightgcn", "half"):
        pytest.skip("rows of ids, cut, are rows of ids")
    content = files[0].read_bytes()
    half = content[: len(content) * 3 // 5]
    files[0].unlink()
    if damage == "folder":
        files[0].mkdir()
    elif damage != "missing":
        files[0].write_bytes({"empty": b"", "half": half, "zeros": bytes(100)}[damage])
    with pytest.raises(UserError, match=files[0].name):
        source(name).load(files, REQUEST)


def test_unknown_source_suggests():
    with pytest.raises(UserError, match="Did you mean 'movielens'"):
        source("movielen")


def test_movielens_reads_plain_and_zipped_alike(tmp_path):
    (plain,) = source("movielens").example(tmp_path)
    zipped = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "ml-1m/ratings.dat")
    data, same = load("movielens", plain), load("movielens", zipped)
    assert raw(data) == raw(same) == [("1", "1193"), ("1", "661"), ("2", "1193"), ("2", "1357")]
    assert data.frame.rating.tolist() == [5, 3, 4, 1]
    assert data.frame.timestamp.tolist() == [978300760, 978302109, 978298413, 978298709]


USERS = [f"A{user:012d}X" for user in range(6)]
ITEMS = ["B00000000" + str(item) for item in range(5)] + ["0306406152"]
DENSE = [
    (user, item, 1 + step % 5, 1000 + step) for step, (user, item) in enumerate((u, i) for u in USERS for i in ITEMS)
]
TAIL = [("A0000000000009", "B000000009", 3, 7)]  # not in any 5-core


def csv_of(rows, header=""):
    return header + "".join(",".join(map(str, row)) + "\n" for row in rows)


AMAZON_CSV = {
    "ratings_Toys.csv": csv_of(DENSE + TAIL),
    "Toys.csv": csv_of((item, user, rating, time) for user, item, rating, time in DENSE + TAIL),
    "Toys_2023.csv": csv_of(DENSE + TAIL, "user_id,parent_asin,rating,timestamp\n"),
}


@pytest.mark.parametrize("name", AMAZON_CSV)
def test_amazon_ratings_of_every_year_are_the_same_5_core(name, tmp_path):
    file = tmp_path / name
    file.write_text(AMAZON_CSV[name])
    data = load("amazon", file)
    assert raw(data) == [(user, item) for user, item, _, _ in DENSE]
    assert data.frame.rating.tolist() == [rating for _, _, rating, _ in DENSE]
    assert data.clock and data.has_order
    assert data.notes[-1] == "iterated 5-core: removed 1 users, 1 items, 1 rows"


def test_amazon_json_gz(tmp_path):
    (plain,) = source("amazon").example(tmp_path)
    packed = tmp_path / "reviews_Toys_5.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert raw(load("amazon", packed)) == [("A1", "B001"), ("A1", "B002"), ("A2", "B001"), ("A2", "B003")]


def test_amazon_json_keeps_counting_lines_over_blocks(tmp_path, monkeypatch):
    (file,) = source("amazon").example(tmp_path)
    text = file.read_text()
    whole = load("amazon", file)
    monkeypatch.setattr("unblur.data.json_lines.BLOCK", 100)
    assert load("amazon", file).frame.equals(whole.frame)
    file.write_text(text + "{]\n")
    with pytest.raises(UserError, match=r"reviews_Example_5.json:5: .*valid JSON"):
        load("amazon", file)


def test_amazon_sequence_text_has_order_but_no_clock(tmp_path):
    file = tmp_path / "Toys.txt"
    file.write_text("1 5 4 3\n2 3 5\n")
    data = load("amazon", file)
    assert raw(data) == [("1", "5"), ("1", "4"), ("1", "3"), ("2", "3"), ("2", "5")]
    assert data.frame.timestamp.tolist() == [0, 1, 2, 0, 1]
    assert data.has_order and not data.clock and not data.has_ratings


def test_amazon_sequence_text_that_is_sorted_by_item_has_no_order(tmp_path):
    """Of 101 neighbours in time order one half falls: none does only where the file is sorted."""
    file = tmp_path / "Toys.txt"
    lines = [f"{user} {user} {user + 1} {user + 5}" for user in range(1, 52)]
    file.write_text("\n".join([*lines, "77 9 8"]))
    assert load("amazon", file).has_order
    file.write_text("\n".join(lines[:49]))
    assert load("amazon", file).has_order  # too few to tell
    file.write_text("\n".join(lines))
    data = load("amazon", file)
    assert (
        not data.has_order
        and "sorted by their ids" in data.no_order
        and any(data.no_order in note for note in data.notes)
    )


def test_positions_that_follow_the_ids_are_no_order_in_any_form(tmp_path):
    """Sorted by item, a file has positions all the same."""
    file = tmp_path / "Toys_rated.csv"
    file.write_text(
        "user,item,order_in_user,rating\n" + "".join(f"{u},{i},{i},5\n" for u in range(20) for i in range(9))
    )
    assert "sorted by their ids" in load("amazon", file).no_order
    (tmp_path / "ml_clean").mkdir()
    files = source("diffrec").example(tmp_path / "ml_clean")
    np.save(files[0], np.array([(user, item) for user in range(20) for item in range(9)]))
    assert "sorted by their ids" in load("diffrec", *files).no_order


def test_amazon_rated_zero_is_unknown(tmp_path):
    file = tmp_path / "Toys_rated.csv.gz"
    file.write_bytes(gzip.compress(b"user,item,order_in_user,rating\n1,1,0,4\n1,2,1,0\n"))
    data = load("amazon", file)
    assert data.frame.rating.isna().tolist() == [False, True]
    assert data.has_order and not data.clock


def test_yelp_dates_with_and_without_time(tmp_path):
    data = load("yelp", *source("yelp").example(tmp_path))
    dates = ["2018-07-07 22:09:11", "2018-07-08 12:30:00", "2017-01-14 20:54:15", "2017-02-14"]
    assert data.frame.timestamp.tolist() == [pd.Timestamp(date, tz="UTC").timestamp() for date in dates]


def test_diffrec_ids_are_rows_and_only_clean_train_has_order(tmp_path):
    for name, ordered in (("ml_clean", True), ("ml_noisy", False)):
        (tmp_path / name).mkdir()
        data = load("diffrec", *source("diffrec").example(tmp_path / name))
        assert data.items.tolist() == ["0", "1", "2"]
        assert data.frame.part.tolist() == [0, 0, 1, 0, 0, 2]
        assert data.frame.timestamp.notna().tolist() == [ordered, ordered, False] * 2


def test_lightgcn_has_parts_and_no_order(tmp_path):
    data = load("lightgcn", *source("lightgcn").example(tmp_path))
    assert data.frame.part.tolist() == [TRAIN] * 3 + [TEST] + [TRAIN] * 2 + [TEST]
    assert not data.has_order
    assert raw(data)[-1] == ("1", "0")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_table_forms_are_the_same(suffix, tmp_path):
    frame = pd.DataFrame(
        {"who": ["ann", "bob, jr"], "what": [7, 8], "stars": [4.5, None], "when": ["2020-01-02", "2020-01-03 10:00"]}
    )
    file = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, sep="\t" if suffix == ".tsv" else ",", index=False)
    columns = {"user_column": "who", "item_column": "what", "rating_column": "stars", "time_column": "when"}
    data = load("table", file, **columns)
    assert raw(data) == [("ann", "7"), ("bob, jr", "8")]
    assert data.frame.rating.tolist()[0] == 4.5 and np.isnan(data.frame.rating.iloc[1])
    assert np.diff(data.frame.timestamp).tolist() == [86400 + 36000]


def test_table_takes_dates_and_numbers_of_parquet(tmp_path):
    times = pd.to_datetime(["2020-01-02", "2020-01-03"])
    file = tmp_path / "mine.parquet"
    pd.DataFrame({"user": [1, 1], "item": [1, 2], "timestamp": times}).to_parquet(file)
    assert np.diff(load("table", file).frame.timestamp).tolist() == [86400]
    pd.DataFrame({"user": [1, 1], "item": [1, 2], "timestamp": [5, 7]}).to_parquet(file)
    assert np.diff(load("table", file).frame.timestamp).tolist() == [2]


def test_sample_is_what_its_docs_say():
    data = load("sample")
    users, items, rows = data.counts()
    assert (users, items) == (2000, 1000) and 55_000 < rows < 65_000
    assert set(data.frame.rating) == {1, 2, 3, 4, 5}
    counts = np.sort(np.bincount(data.frame.item))[::-1]
    assert counts[:100].sum() > 0.3 * rows  # long tail
    assert raw(load("sample", data_seed=1)) != raw(data)
