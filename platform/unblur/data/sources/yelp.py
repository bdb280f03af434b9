"""The Yelp Open Dataset's `yelp_academic_dataset_review.json`: JSON lines with user_id, business_id, stars, date."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from unblur.data import json_lines
from unblur.data.interactions import Interactions, build
from unblur.data.numeric import seconds
from unblur.data.reading import lines_of
from unblur.data.request import DataRequest

FIELDS = {"user_id": pa.string(), "business_id": pa.string(), "stars": pa.float64(), "date": pa.string()}


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """Stars from 1 to 5, dates as seconds."""
    (file,) = files
    raw = json_lines.read(file, FIELDS).set_axis(["user", "item", "rating", "timestamp"], axis="columns")
    where = lines_of(file)
    raw["timestamp"] = seconds(raw.timestamp, where, "date")
    return build(raw, file, where, request, scale=(1, 5))


def example(folder: Path) -> Sequence[Path]:
    """Two users, two reviews each."""
    file = folder / "yelp_academic_dataset_review.json"
    line = '{"review_id": "r", "user_id": "%s", "business_id": "%s", "stars": %s, "date": "%s", "text": "good"}\n'
    reviews = [
        ("u1", "b1", "5.0", "2018-07-07 22:09:11"),
        ("u1", "b2", "3.0", "2018-07-08 12:30:00"),
        ("u2", "b1", "4.0", "2017-01-14 20:54:15"),
        ("u2", "b3", "1.0", "2017-02-14"),
    ]
    file.write_text("".join(line % review for review in reviews))
    return [file]
