"""Malformed rows stop the load and say file, line, what was found and what would be right."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from unblur.data.request import DataRequest
from unblur.data.sources import source
from unblur.errors import UserError

GOOD = "1::10::5::100\n"
REVIEW = '{"reviewerID": "A1", "asin": "B1", "overall": 5, "unixReviewTime": 1}\n'
YELP = '{"user_id": "u", "business_id": "b", "stars": 5, "date": "2018-01-01"}\n'
RATED = "user,item,order_in_user,rating\n"
TABLE = "user,item,rating,timestamp\n"

CASES = [
    ("movielens", "ratings.dat", GOOD + "1::11::5\n", r"ratings.dat:2: found 3 columns .*expected 4"),
    ("movielens", "ratings.dat", GOOD + "1::11::6::100\n", r":2: rating is '6', expected a number from 1 to 5"),
    ("movielens", "ratings.dat", GOOD + "1::11::0::100\n", r":2: rating is '0', expected a number from 1 to 5"),
    ("movielens", "ratings.dat", GOOD + "1::11::nan::100\n", r":2: rating is 'nan'"),
    ("movielens", "ratings.dat", GOOD + "1::11::good::100\n", r":2: rating is 'good'"),
    ("movielens", "ratings.dat", GOOD + "1::11::::100\n", r":2: rating is nothing"),
    ("movielens", "ratings.dat", GOOD + "1::11::5::soon\n", r":2: timestamp is 'soon', expected a number"),
    ("movielens", "ratings.dat", GOOD + "1::::5::100\n", r":2: item is empty"),
    ("movielens", "ratings.dat", GOOD + "\n" + GOOD, r":2: user is empty"),
    ("movielens", "ratings.dat", GOOD.encode() + b"1::\xff::5::100\n", r":2: found byte 0xff, expected UTF-8"),
    ("movielens", "ratings.dat", "user,item,rating\n", r":1: found 1 columns"),
    ("amazon", "r_5.json", REVIEW + "{oops}\n", r"r_5.json:2: found no valid JSON"),
    ("amazon", "r_5.json", REVIEW + "[1]\n", r":2: found a list, expected a JSON object"),
    ("amazon", "r_5.json", REVIEW + '{"reviewerID": "A1"}\n', r":2: field 'asin' holds nothing"),
    ("amazon", "r_5.json", REVIEW.replace("5", '"five"'), r":1: field 'overall' holds 'five', expected a number"),
    ("amazon", "r_5.json", REVIEW + REVIEW.replace("5", "7"), r":2: rating is .*7.*, expected a number from 1 to 5"),
    ("amazon", "r_5.json", REVIEW + "\n" + REVIEW, r":2: found no valid JSON"),
    ("amazon", "r_5.json", REVIEW + REVIEW.strip()[:-9], r":2: found no valid JSON"),
    ("amazon", "r_5.json", REVIEW.encode() + b'{"asin": "\xff"}\n', r":2: found no valid JSON"),
    ("amazon", "Toys.txt", "1 2 3\n2 x\n", r"Toys.txt:2: found b'x', expected whole numbers"),
    ("amazon", "Toys.txt", "1 2 3\n2\n", r":2: found a user without items"),
    ("amazon", "Toys.txt", "1 2 3\n2 1\n1 5\n", r":3: user 1 has a line already"),
    ("amazon", "Toys.txt", "1 2 3\n2 " + "9" * 30 + "\n", r":2: found a number of more than 18 digits"),
    ("amazon", "Toys_rated.csv", RATED + "1,1,0,4\n1,2,1,9\n", r"csv:3: rating is '9'"),
    ("amazon", "Toys_rated.csv", RATED + "1,1,0,4\n1,2,x,4\n", r"csv:3: timestamp is 'x'"),
    ("amazon", "ratings_Toys.csv", "a,b,c\n", r"csv:1: found 3 columns, expected `user,item,rating,timestamp`"),
    ("amazon", "ratings_Toys.csv", "A1,B000000001,3,1\nA1,B000000002,3\n", r"csv:2: found 3 columns"),
    ("amazon", "ratings_Toys.csv", "A1,B000000001,3,1\n", r"csv: the filters \(iterated 5-core\) leave no user"),
    ("yelp", "review.json", YELP + YELP.replace("2018-01-01", "yesterday"), r"json:2: date is 'yesterday', expected"),
    ("yelp", "review.json", YELP + YELP.replace("5", "0"), r"json:2: rating is .*0.*, expected a number from 1 to 5"),
    ("yelp", "review.json", YELP + YELP.replace('"u"', '""'), r"json:2: user is empty, expected an id"),
    ("yelp", "review.json", YELP + YELP.replace('u"', 'u\\u0000"'), r"json:2: user is .*with a NUL, expected an id"),
    ("yelp", "review.json", YELP + YELP.replace('"u"', '"\\ud800"'), r"json:2: found no usable JSON"),
    ("yelp", "review.json", YELP + YELP.replace("5", "1e400"), r"json:2: found no usable JSON"),
    ("yelp", "review.json", YELP + YELP.replace("5", "NaN"), r"json:2: rating is nothing, expected"),
    ("table", "mine.csv", "a,b\n1,2\n", r"mine.csv: has no column 'user'; name one with --user-column: a, b"),
    ("table", "mine.csv", "user,user,item\n1,2,3\n", r"csv:1: the header names a column twice"),
    ("table", "mine.csv", TABLE + "a,b,5,1\na,c,5\n", r"csv:3: found 3 columns .*expected 4"),
    ("table", "mine.csv", TABLE + "a,b,5,1\na,c,high,2\n", r"csv:3: rating is 'high'"),
    ("table", "mine.csv", TABLE + "a,b,5,1\na,c,5,\n", r"csv:3: time is nothing"),
    ("table", "mine.csv", TABLE + "a,b,5,2018-01-01\na,c,5,2\n3,4,5,x\n", r"csv:[34]: time is .*expected a date"),
    ("table", "mine.csv", TABLE, r"mine.csv: holds no interactions"),
    ("table", "mine.csv", TABLE.encode() + b"\xe9,b,5,1\n", r"csv:2: found byte 0xe9"),
    ("table", "mine.xlsx", "a", r"mine.xlsx: has no known ending, expected one of .csv"),
    ("table", "mine.parquet", "PAR1 no", r"mine.parquet: cannot be read"),
]


@pytest.mark.parametrize(("name", "file", "content", "message"), CASES)
def test_bad_rows(name, file, content, message, tmp_path):
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as caught:
        source(name).load([path], DataRequest())
    assert str(path) in str(caught.value)


def test_truncated_gzip_and_text_that_is_none(tmp_path):
    packed = gzip.compress(REVIEW.encode() * 1000)
    for content in (packed[:-9], REVIEW.encode(), packed[:40] + b"x" + packed[41:]):
        file = tmp_path / "reviews_Toys_5.json.gz"
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"reviews_Toys_5.json.gz: cannot be read .* fetch it again"):
            source("amazon").load([file], DataRequest())


def test_damaged_zips(tmp_path):
    file = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-1m/ratings.dat", GOOD * 1000)
    whole = file.read_bytes()
    for content in (whole[:-30], b"PK", whole[:50] + b"xxx" + whole[53:]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"ml-1m.zip: cannot be read"):
            source("movielens").load([file], DataRequest())
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("ml-1m/movies.dat", "x")
    with pytest.raises(UserError, match=r"holds 0 files called 'ratings.dat'"):
        source("movielens").load([file], DataRequest())


BAD_LISTS = {
    "floats": np.zeros((3, 2)),
    "three columns": np.zeros((3, 3), dtype=np.int64),
    "negative": np.array([[0, -1]]),
    "huge id": np.array([[0, 10**12]]),
    "flat": np.zeros(4, dtype=np.int64),
    "unsigned overflow": np.array([[0, 2**64 - 1]], dtype=np.uint64),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_numpy_lists(case, tmp_path):
    files = source("diffrec").example(tmp_path)
    np.save(files[0], BAD_LISTS[case])
    with pytest.raises(UserError, match=r"train_list.npy(, row 0)?: "):
        source("diffrec").load(files, DataRequest())


def test_pickled_numpy_lists_are_never_opened(tmp_path):
    files = source("diffrec").example(tmp_path)
    np.save(files[1], np.array([object()]), allow_pickle=True)
    with pytest.raises(UserError, match=r"valid_list.npy: cannot be read"):
        source("diffrec").load(files, DataRequest())


def test_lightgcn_names_the_right_file(tmp_path):
    files = source("lightgcn").example(tmp_path)
    files[1].write_text("0 3\n1 900000000\n")
    with pytest.raises(UserError, match=r"test.txt:2: item is 900000000, expected ids that count from 0"):
        source("lightgcn").load(files, DataRequest())


def test_parquet_of_wrong_types(tmp_path):
    file = tmp_path / "mine.parquet"
    pd.DataFrame({"user": [[1], [2]], "item": ["a", "b"]}).to_parquet(file)
    with pytest.raises(UserError, match=r"mine.parquet: the column 'user' is of type list"):
        source("table").load([file], DataRequest())
    pd.DataFrame({"user": ["a", None], "item": ["a", "b"]}).to_parquet(file)
    with pytest.raises(UserError, match=r"mine.parquet, row 1: user is empty"):
        source("table").load([file], DataRequest())


def test_duplicates_are_counted_or_refused(tmp_path):
    file = tmp_path / "ratings.dat"
    file.write_text("1::10::5::100\n1::11::4::100\n1::10::3::200\n")
    data = source("movielens").load([file], DataRequest())
    assert data.frame.rating.tolist() == [5, 4]
    assert data.notes == ("duplicate pairs: 1 rows removed, the earliest of each kept; 1 had another rating",)
    with pytest.raises(UserError, match=r"dat:3: user '1' and item '10' are already at .*dat:1; --strict"):
        source("movielens").load([file], DataRequest(strict=True))
