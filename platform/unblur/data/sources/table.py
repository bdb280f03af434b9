"""A person's own CSV, TSV or Parquet file with named columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unblur.data.interactions import Interactions, build
from unblur.data.reading import Where, contents, delimited, header, lines_of, numbers, opened, seconds
from unblur.data.request import DataRequest
from unblur.errors import UserError

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """User, item and, where there are such columns, rating (any scale, empty = unknown) and time."""
    (file,) = files
    if not file.name.endswith(SUFFIXES):
        raise UserError(f"{file}: has no known ending, expected one of {', '.join(SUFFIXES)}")
    where: Where = (lambda row: f"{file}, row {row}") if file.suffix == ".parquet" else lines_of(file, 2)
    raw = _parquet(file, request) if file.suffix == ".parquet" else _text(file, request)
    if "timestamp" in raw and not pd.api.types.is_numeric_dtype(raw.timestamp):
        raw["timestamp"] = _time(raw.timestamp, where)
    data = build(raw, file, where, request.strict, unknown_ratings=True)
    return data if "timestamp" in raw else replace(data, no_order="name a column of times with --time-column")


def _text(file: Path, request: DataRequest) -> pd.DataFrame:
    data = contents(file)
    delimiter = "\t" if ".tsv" in file.suffixes else ","
    names = header(file, data, delimiter)
    columns = _columns(file, names, request)
    frame = delimited(file, data, names, delimiter, skip=1, quotes=True)
    return frame[list(columns.values())].set_axis(list(columns), axis="columns")


def _parquet(file: Path, request: DataRequest) -> pd.DataFrame:
    """Ids as text, ratings as numbers, time as it is stored or, for a date, as text."""
    with opened(file) as stream:
        parquet = pq.ParquetFile(stream)
        columns = _columns(file, parquet.schema_arrow.names, request)
        table = parquet.read(list(columns.values()))
        return pd.DataFrame({ours: _cast(table[theirs], ours).to_pandas() for ours, theirs in columns.items()})


def _cast(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    to = pa.float64() if name == "rating" or (name == "timestamp" and number) else pa.string()
    return column.cast(to)


def _columns(file: Path, names: list[str], request: DataRequest) -> dict[str, str]:
    """From our column names to the file's; user and item must be there, the others if a flag names them."""
    asked = {"user": request.user_column, "item": request.item_column}
    asked |= {"rating": request.rating_column, "timestamp": request.time_column}
    chosen = {}
    for ours, theirs in asked.items():
        name = theirs or ours
        if name in names:
            chosen[ours] = name
        elif theirs or ours in ("user", "item"):
            flag = "--time-column" if ours == "timestamp" else f"--{ours}-column"
            raise UserError(f"{file}: has no column {name!r}; name one with {flag}: {', '.join(names)}")
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"{file}: one column is asked to be two things: {chosen}")
    return chosen


def _time(column: "pd.Series[str]", where: Where) -> NDArray[np.float64]:
    """Numbers if the first is one, else dates."""
    if pd.to_numeric(column.iloc[:1], errors="coerce").notna().all():
        return numbers(column, where, "time", -np.inf, np.inf)
    return seconds(column, where, "time")


def example(folder: Path) -> Sequence[Path]:
    """A CSV file with the names that need no flags."""
    file = folder / "interactions.csv"
    file.write_text("user,item,rating,timestamp\nann,tea,5,10\nann,salt,,20\nbob,tea,4,15\nbob,rice,1,30\n")
    return [file]
