"""The same interactions are the same data, whatever the file's format, order of rows, name and quotes."""

import csv
import gzip
import io
import random
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unblur.data import reading, store
from unblur.data.ids import vocabulary
from unblur.data.prepare import prepare
from unblur.data.request import DataRequest
from unblur.data.sources import source
from unblur.data.splits import per_user_random, per_user_time
from unblur.errors import UserError

START = 1_600_000_000
letters = st.text("abcXYZ019 ,'\"\t;é中😀-_", min_size=1, max_size=8).filter(lambda text: text.strip() == text)
names = st.lists(letters, min_size=1, max_size=6, unique=True)
numbers = st.lists(st.integers(0, 10**20).map(str), min_size=1, max_size=6, unique=True)
UNITS = {"days": 86_400, "seconds": 1, "microseconds": 1e-6}


@st.composite
def interactions(draw):
    """Rows of user, item, rating and time, with repeats, changed ratings and equal times; one user has an order."""
    users, items = draw(st.one_of(names, numbers)), draw(st.one_of(names, numbers))
    unit = UNITS[draw(st.sampled_from(sorted(UNITS)))]
    row = st.tuples(st.sampled_from(users), st.sampled_from(items), st.integers(1, 5), st.integers(0, 6))
    rows = [*draw(st.lists(row, min_size=1, max_size=40)), ("ordered", items[0], 5, 0), ("ordered", "last", 5, 9)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "step"])
    return frame.assign(timestamp=START + np.round(frame.step * unit, 6)).drop(columns="step")


def text(frame, delimiter, quoting, title, end):
    stream = io.StringIO()
    columns = ["item", "title", "rating", "user", "timestamp"]
    kept = frame.assign(title=title, timestamp=frame.timestamp.map("{:.6f}".format))[columns]
    kept.to_csv(stream, index=False, sep=delimiter, quoting=quoting, lineterminator=end)
    return stream.getvalue()


def written(frame, folder, form, quoting, title, end="\n"):
    """A file of that form; beside the columns in use there is one of titles."""
    if form == "dates.parquet":
        frame = frame.assign(timestamp=pd.to_datetime((frame.timestamp * 1e6).round().astype("int64"), unit="us"))
    if form.endswith("parquet"):
        frame.to_parquet(folder / form, row_group_size=3)
        return folder / form
    file = folder / form
    encoding = "utf-8-sig" if end == "\r\n" else "utf-8"
    content = text(frame, "\t" if ".tsv" in form else ",", quoting, title, end).encode(encoding)
    file.write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]) if form.endswith(".gz") else content)
    return file


FORMS = ["a.csv", "b.csv.gz", "c.tsv", "d.tsv.gz", "e.parquet", "dates.parquet"]


def digests(file, storage):
    data = source("table").load([file], DataRequest())
    splits = (per_user_time(data), per_user_random(data, np.random.default_rng(0)))
    return [store.write(each.compact(), storage) for each in splits]


@pytest.mark.parametrize("form", FORMS)
@given(
    frame=interactions(),
    seed=st.integers(0, 9),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    title=st.sampled_from(["plain", 'a "word"', "two\nlines", "a,b\tc", '"']),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([40, 1 << 24]),
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_form_and_order_of_rows_is_the_same_data(form, tmp_path, frame, seed, quoting, title, end, block):
    expected = digests(written(frame, tmp_path, "first.csv", csv.QUOTE_ALL, "plain"), tmp_path)
    file = written(frame.sample(frac=1, random_state=seed), tmp_path, form, quoting, title, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK", max(block, 2 * file.stat().st_size // 3))  # a row has to fit into two blocks
        assert digests(file, tmp_path) == expected


@given(frame=interactions())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_a_repeated_pair_the_earliest_counts(tmp_path, frame):
    data = source("table").load([written(frame, tmp_path, "a.csv", csv.QUOTE_ALL, "")], DataRequest())
    found = {(data.users[row.user], data.items[row.item]): row for row in data.frame.itertuples()}
    for pair, mine in frame.groupby(["user", "item"]):
        first = mine.sort_values(["timestamp", "rating"], ascending=[True, False]).iloc[0]
        assert (found[pair].rating, found[pair].timestamp) == (first.rating, first.timestamp)
    assert len(found) == len(frame.drop_duplicates(["user", "item"]))
    removed = len(frame) - len(found)
    told = [note for note in data.notes if note.startswith("duplicate pairs")]
    assert len(told) == (removed > 0) and all(f": {removed} rows removed, the earliest" in note for note in told)


def table(rows, header="user,item,rating,timestamp"):
    return "\n".join([header, *rows]) + "\n"


def load(tmp_path: Path, name: str, content: str, **request: object):
    file = tmp_path / name
    file.write_text(content)
    return source("table").load([file], DataRequest(**request))


def rows_with_titles(broken: dict[int, str]) -> list[str]:
    return [f"u{n % 7},i{n % 11},5,{n},{broken.get(n, 'fine')}" for n in range(40)]


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("mine.csv", {12: '"open', 30: '"open too'}),
        ("mine.csv", {12: '"open'}),
        ("mine.csv", {12: '"closed" and more'}),
        ("mine.csv", {12: 'ends with "', 13: '"open'}),
    ],
)
def test_a_quote_that_is_not_closed_is_refused_with_its_row(tmp_path, name, broken):
    content = table(rows_with_titles(broken), "user,item,rating,timestamp,title")
    line = min(n for n, text in broken.items() if text.startswith('"')) + 2
    with pytest.raises(UserError, match=rf"mine.csv:{line}: a cell that begins with a quote is not closed"):
        load(tmp_path, name, content)
    rows = load(tmp_path, "mine.tsv", content.replace(",", "\t"))
    assert rows.counts()[2] == 40 and any("quotes are taken as letters" in note for note in rows.notes)


def test_an_open_quote_in_an_id_does_not_swallow_rows(tmp_path):
    rows = ['"u1,i1,5,1', "u2,i2,5,2", 'u3,i3",5,3']
    with pytest.raises(UserError, match=r"mine.csv:[24]: "):
        load(tmp_path, "mine.csv", table(rows))


@pytest.mark.parametrize("block", [60, 1 << 24])
def test_quoted_line_breaks_are_the_same_at_any_size_and_lines_are_the_files(tmp_path, monkeypatch, block):
    monkeypatch.setattr(reading, "BLOCK", block)
    titles = {n: f'"one\nnice, but{n}\nthree"' for n in range(0, 40, 4)}
    content = table(rows_with_titles(titles), "user,item,rating,timestamp,title")
    data = load(tmp_path, "mine.csv", content)
    assert data.counts() == (7, 11, 40)
    assert "note: 10 rows go over several lines, inside quotes" in data.notes
    with pytest.raises(UserError, match=r"mine.csv:11: rating is 'x'"):  # the 6th row, after two of 3 lines
        load(tmp_path, "mine.csv", content.replace("u5,i5,5,5", "u5,i5,x,5"))


@pytest.mark.parametrize("word", ["nan", "NaN", "<NA>", "NaT", "NULL", "\\N", ""])
def test_a_missing_value_never_becomes_an_id(tmp_path, word):
    for column, row in (("user", f"{word},i3,5,3"), ("item", f"u1,{word},5,3")):
        with pytest.raises(UserError, match=rf"mine.csv:4: {column} is .*expected an id"):
            load(tmp_path, "mine.csv", table(["u1,i1,5,1", "u1,i2,5,2", row]))


def test_ids_that_are_floats_are_whole_numbers_or_refused(tmp_path):
    file = tmp_path / "mine.parquet"
    frame = pd.DataFrame({"user": [1.0, 2.0, 3.0], "item": [1, 2, 3]})
    frame.to_parquet(file)
    assert source("table").load([file], DataRequest()).users.tolist() == ["1", "2", "3"]
    for wrong, message in ((np.nan, "row 1: user is empty"), (2.5, "row 1: user is the float 2.5"), (2.0**60, "2.+53")):
        frame.assign(user=[1.0, wrong, 3.0]).to_parquet(file)
        with pytest.raises(UserError, match=message):
            source("table").load([file], DataRequest())


def test_a_long_id_is_refused_with_its_line(tmp_path):
    load(tmp_path, "mine.csv", table([f"{'x' * 256},i1,5,1"]))
    with pytest.raises(UserError, match=r"mine.csv:3: item is 'xxxxxxxxxxxxxxxxxxxx'... of 257 characters"):
        load(tmp_path, "mine.csv", table(["u,i,5,1", f"u,{'x' * 257},5,1"]))


FINE = {
    "microseconds as dates": [f"2020-01-01T00:00:00.{n:06d}" for n in range(9, -1, -1)],
    "nanoseconds as dates": [f"2020-01-01T00:00:00.{n:09d}" for n in range(9, -1, -1)],
    "nanoseconds as numbers": [str(1_600_000_000_000_000_000 + n) for n in range(9, -1, -1)],
    "far dates": [f"{9999 - n}-01-01" for n in range(10)],
}


@pytest.mark.parametrize("name", FINE)
def test_no_precision_of_a_time_is_lost(tmp_path, name):
    rows = [f"u,i{9 - n},5,{time}" for n, time in enumerate(FINE[name])]
    data = load(tmp_path, "mine.csv", table(rows))
    assert data.items[data.frame.item].tolist() == [f"i{n}" for n in range(10)]
    pd.DataFrame([row.split(",") for row in rows], columns=["user", "item", "rating", "timestamp"]).assign(
        rating=5.0, timestamp=lambda f: f.timestamp.astype("int64") if "numbers" in name else f.timestamp
    ).to_parquet(tmp_path / "mine.parquet")
    same = source("table").load([tmp_path / "mine.parquet"], DataRequest())
    assert same.items[same.frame.item].tolist() == [f"i{n}" for n in range(10)]


def test_one_time_for_all_is_no_order(tmp_path):
    rows = [f"u{u},i{i},5,0" for i in range(12) for u in range(12)]
    with pytest.raises(UserError, match=r"no user has two different times.* use --split per_user_random"):
        per_user_time(load(tmp_path, "mine.csv", table(rows)))
    assert load(tmp_path, "mine.csv", table(rows), ties="file").has_order


def test_equal_times_are_decided_by_the_seed_and_no_item_is_always_the_later(tmp_path):
    rows = [f"u{u},i{i},5,{i >= 6}" for i in range(12) for u in range(200)]
    content = table(rows).replace("True", "1").replace("False", "0")
    found = {}
    for seed in (0, 1):
        data = per_user_time(load(tmp_path, "mine.csv", content, data_seed=seed))
        found[seed] = data.frame[data.frame.part == 2]
        assert "200 of 200 users (100%)" in data.notes[-1] and "a hash seeded by --data-seed" in data.notes[-1]
        assert found[seed].item.value_counts().max() < 60  # of 200 users, six items alike: 33 each
    assert not found[0].reset_index(drop=True).equals(found[1].reset_index(drop=True))


def test_vocabularies_are_sorted_by_id(tmp_path):
    rows = [f"u{n},{i},5,{n}" for n, i in enumerate(["10", "9", "007", "7", "100"])]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert load(tmp_path, "mine.csv", table(shuffled)).items.tolist() == ["007", "7", "9", "10", "100"]
    assert load(tmp_path, "mine.csv", table([*rows, "u9,x,5,9"])).items.tolist()[:3] == ["007", "10", "100"]


def test_ids_in_two_spellings_and_made_up_times_are_told(tmp_path):
    data = load(tmp_path, "mine.csv", table(["1,a,5,1", "1.0,b,5,2", "2,a,5,3"]))
    assert "note: 1 users differ from another by `.0` alone" in data.notes
    rows = [f"u{u},i{i:02d},5,{100 * u + i}" for u in range(20) for i in range(10)]
    assert any("sorted by their ids" in note for note in load(tmp_path, "mine.csv", table(rows)).notes)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user;item;rating;timestamp", r"the delimiter is ';', expected ','"),
        ("user::item::rating::timestamp", r"the delimiter is '::', expected ','"),
        ("user|item|rating|timestamp", r"the delimiter is '\|', expected ','"),
        ("user\titem\trating\ttimestamp", r"the delimiter is '\\t', expected ','"),
        ("u0,i0,5,1500959037", "the first line is data, expected the names of the columns"),
        ("sep=,", "the first line is 'sep=', expected the names of the columns: remove it"),
        ("user, item, rating", "names begin or end with a space, ' item'; remove it, or .* --item-column"),
        ("user,item,rating\ru,i,5\r", "mine.csv: lines end with CR alone, expected LF or CR LF"),
        ("user,item,,", None),
        ("user,item,title,title", None),
    ],
)
def test_headers(tmp_path, header, message):
    content = f"{header}\nu,i,5,1\n"
    if message is None:
        assert load(tmp_path, "mine.csv", content).counts() == (1, 1, 1)
        return
    with pytest.raises(UserError, match=message):
        load(tmp_path, "mine.csv", content)


def test_an_ending_in_capitals_is_the_same_ending(tmp_path):
    assert load(tmp_path, "MINE.CSV", table(["u,i,5,1"])).counts() == (1, 1, 1)
    (tmp_path / "wide.csv").write_bytes("user,item\nu,i\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"wide.csv:1: found UTF-16, expected UTF-8 text"):
        prepare(DataRequest(dataset=str(tmp_path / "wide.csv")), None, tmp_path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user", [[1], [2]], r"column 'user' is of type list<.*, expected text or whole numbers for user"),
        ("item", [{"a": 1}, {"a": 2}], r"column 'item' is of type struct<.*, expected text or whole numbers for item"),
        (
            "timestamp",
            [timedelta(1), timedelta(2)],
            "column 'timestamp' is of type duration.*, expected numbers, dates",
        ),
        ("timestamp", [float("nan"), 1.0], "row 0: time is nothing, expected a number"),
        ("rating", ["good", "5"], "row 0: rating is 'good', expected a number"),
        ("rating", [[1], [2]], r"column 'rating' is of type list<.*, expected numbers for rating"),
    ],
)
def test_a_column_of_another_type_is_named_with_its_type(tmp_path, column, values, message):
    columns = {"user": ["a", "b"], "item": ["x", "y"], "rating": [1.0, 2.0], "timestamp": [1, 2], column: values}
    pq.write_table(pa.table(columns), tmp_path / "mine.parquet")
    with pytest.raises(UserError, match=message) as told:
        prepare(DataRequest(dataset=str(tmp_path / "mine.parquet")), None, tmp_path)
    assert "damaged" not in str(told.value)


def test_the_memory_of_a_vocabulary_follows_its_text():
    """One id of 256 characters among short ones; numpy would keep all of them in its width."""
    short = [f"user{n:05d}" for n in range(20_000)]
    names = vocabulary([*short, "x" * 256])
    assert names.tolist() == [*short, "x" * 256] and names.nbytes < 10 * sum(map(len, short))
    assert vocabulary(short).dtype.kind == "U" and vocabulary([]).tolist() == []


def test_one_long_id_changes_nothing_else(tmp_path):
    rows = [f"{u},{i},5,{u * 20 + i}" for u in range(60) for i in range(12)]
    long = "9" * 256
    alone = load(tmp_path, "a.csv", table(rows))
    beside = load(tmp_path, "b.csv", table([*rows, *(f"{long},{i},5,{i}" for i in range(12))]))
    assert beside.users.dtype.kind == "O" and beside.users.tolist() == [*alone.users.tolist(), long]
    kept = beside.select(beside.frame.user.to_numpy() < 60).compact()
    assert kept.frame.equals(alone.frame) and kept.items.tolist() == alone.items.tolist()
    digests = {store.write(per_user_time(each, "70/20/10"), tmp_path) for each in (kept, alone)}
    assert len(digests) == 1
    assert store.load_dataset(tmp_path / "data" / digests.pop()).users.tolist() == alone.users.tolist()
