"""Amazon reviews in all the forms in which they are published, told apart by file name and header.

`*.json[.gz]`       JSON lines with `reviewerID, asin, overall, unixReviewTime` (2014 and 2018)
`*.csv[.gz]`        with the header `user_id,parent_asin,rating,timestamp`: 2023, time in milliseconds
                    with the header `user,item,order_in_user,rating`: order instead of time, rating 0 = unknown
                    without header, `user,item,rating,timestamp` (2014) or `item,user,rating,timestamp` (2018)
`*.txt`             the sequence form: `user item item ...`, in time order, or sorted by item, which is told by itself

Files without header differ only in the order of their first two columns. An ASIN is ten capital letters or digits that
start with a digit or a B, a reviewer's id is longer and starts with an A: the column with more ASINs holds the items.
The ratings files of 2014, 2018 and 2023 hold every review, so that they are first reduced to their iterated 5-core.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from unblur.data import filters, id_rows, json_lines
from unblur.data.interactions import Interactions, build
from unblur.data.reading import contents, delimited, header, lines_of
from unblur.data.request import DataRequest
from unblur.errors import UserError

STARS = (1, 5)
RATED = ["user", "item", "order_in_user", "rating"]
YEAR_2023 = ["user_id", "parent_asin", "rating", "timestamp"]
ASIN = r"[0-9B][0-9A-Z]{9}"


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """Ratings from 1 to 5 except in the sequence form, which has none."""
    (file,) = files
    if ".json" in file.suffixes:
        return _json(file, request)
    if file.suffix == ".txt":
        return _sequence(file, request)
    data = contents(file)
    names = header(file, data, ",")
    if names == RATED:
        return _rated(file, data, request)
    return filters.apply(_ratings_only(file, data, names, request), [filters.KCore(5)])


def _json(file: Path, request: DataRequest) -> Interactions:
    fields = {"reviewerID": pa.string(), "asin": pa.string(), "overall": pa.float64(), "unixReviewTime": pa.int64()}
    raw = json_lines.read(file, fields).set_axis(["user", "item", "rating", "timestamp"], axis="columns")
    return build(raw, file, lines_of(file), request, STARS)


def _sequence(file: Path, request: DataRequest) -> Interactions:
    rows = id_rows.read(file)
    raw = pd.DataFrame({"user": rows.user, "item": rows.item, "timestamp": rows.position.astype(float)})
    return build(raw, file, lambda row: f"{file}:{rows.line[row]}", request, clock=False)


def _rated(file: Path, data: bytes, request: DataRequest) -> Interactions:
    raw = delimited(file, data, ["user", "item", "timestamp", "rating"], skip=1)
    raw["rating"] = raw.rating.mask(raw.rating.isin(["0", "0.0"]))
    return build(raw, file, lines_of(file, 2), request, STARS, clock=False, unknown_ratings=True)


def _ratings_only(file: Path, data: bytes, names: list[str], request: DataRequest) -> Interactions:
    if names == YEAR_2023:
        raw = delimited(file, data, ["user", "item", "rating", "timestamp"], skip=1)
        return build(raw, file, lines_of(file, 2), request, STARS)
    if len(names) != 4:
        raise UserError(
            f"{file}:1: found {len(names)} columns, expected `user,item,rating,timestamp` (2014), `item,user,rating,"
            f"timestamp` (2018) or the header {','.join(YEAR_2023)} (2023) or {','.join(RATED)}"
        )
    raw = delimited(file, data, ["first", "second", "rating", "timestamp"])
    asins = {name: int(raw[name].str.fullmatch(ASIN).sum()) for name in ("first", "second")}
    item, user = ("first", "second") if asins["first"] > asins["second"] else ("second", "first")
    return build(raw.rename(columns={item: "item", user: "user"}), file, lines_of(file), request, STARS)


def example(folder: Path) -> Sequence[Path]:
    """The JSON lines of 2014."""
    file = folder / "reviews_Example_5.json"
    line = '{"reviewerID": "%s", "asin": "%s", "overall": %d, "unixReviewTime": %d, "reviewText": "fine"}\n'
    reviews = [("A1", "B001", 5, 10), ("A1", "B002", 3, 20), ("A2", "B001", 4, 15), ("A2", "B003", 1, 30)]
    file.write_text("".join(line % review for review in reviews))
    return [file]
