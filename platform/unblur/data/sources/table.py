"""A person's own CSV, TSV or Parquet file with named columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unblur.data.interactions import Interactions, build
from unblur.data.numeric import times
from unblur.data.reading import Lines, Where, contents, delimited, header, lines_of, opened, quoted_rows
from unblur.data.request import DataRequest
from unblur.errors import UserError, shorten

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """User, item and, where there are such columns, rating (any scale, empty = unknown) and time."""
    (file,) = files
    if not file.name.lower().endswith(SUFFIXES):
        raise UserError(f"{file}: has no known ending, expected one of {', '.join(SUFFIXES)}")
    raw, where, notes = _parquet(file, request) if file.suffix.lower() == ".parquet" else _text(file, request)
    if "timestamp" in raw:
        raw["timestamp"] = times(raw.timestamp, where, "time")
    data = build(raw, file, where, request, unknown_ratings=True)
    data = replace(data, notes=(*notes, *data.notes))
    return data if "timestamp" in raw else replace(data, no_order="name a column of times with --time-column")


def _text(file: Path, request: DataRequest) -> tuple[pd.DataFrame, Where, list[str]]:
    data = contents(file)
    delimiter = "\t" if ".tsv" in file.name.lower() else ","
    names = header(file, data, delimiter)
    columns = _columns(file, names, request)
    rows, notes = _rows(file, data, delimiter)
    known = [name if name in columns.values() else f"{place}" for place, name in enumerate(names)]
    used = list(columns.values())
    frame = delimited(file, data, known, delimiter, skip=1, only=used, rows=rows)
    where = lines_of(file, 2) if rows is None else (lambda row: f"{file}:{rows[row + 1]}")
    return frame.set_axis(list(columns), axis="columns"), where, notes


def _rows(file: Path, data: bytes, delimiter: str) -> tuple[Lines | None, list[str]]:
    """The line of each row where there are quoted cells, and what is odd about them."""
    if b'"' not in data:
        return None, []
    try:
        rows = quoted_rows(file, data, delimiter)
    except UserError as error:
        if delimiter != "\t":
            raise
        return None, [
            f"note: quotes are taken as letters, because {error}"
        ]  # the bare form, in which no cell is quoted
    broken = int((np.diff(rows) > 1).sum())
    return rows, [f"note: {broken:,} rows go over several lines, inside quotes"] if broken else []


def _parquet(file: Path, request: DataRequest) -> tuple[pd.DataFrame, Where, list[str]]:
    """Ids as text, ratings as numbers, time as it is stored or, for a date, as text."""

    def where(row: int) -> str:
        return f"{file}, row {row}"

    with opened(file) as stream:
        parquet = pq.ParquetFile(stream)
        columns = _columns(file, parquet.schema_arrow.names, request)
        table = parquet.read(list(columns.values()))
        cast = {ours: _typed(file, table, theirs, ours, where) for ours, theirs in columns.items()}
        return pd.DataFrame({name: column.to_pandas() for name, column in cast.items()}), where, []


EXPECTED = {"rating": "numbers", "timestamp": "numbers, dates or text"}


def _typed(file: Path, table: pa.Table, theirs: str, ours: str, where: Where) -> pa.ChunkedArray:
    """The column as we read it; UserError, naming its type, where that cannot be what it is asked to be."""
    kind = table[theirs].type
    try:
        if ours == "timestamp" and (pa.types.is_duration(kind) or pa.types.is_time(kind)):
            raise pa.ArrowTypeError("no moment")
        return _cast(table[theirs], ours, where)
    except pa.ArrowException as error:
        expected = EXPECTED.get(ours, "text or whole numbers")
        raise UserError(f"{file}: the column {theirs!r} is of type {kind}, expected {expected} for {ours}") from error


def _cast(column: pa.ChunkedArray, name: str, where: Where) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if name == "rating":
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        return column if text else column.cast(pa.float64())
    if name == "timestamp":
        number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        return column if number else column.cast(pa.string())
    return (_whole(column, name, where) if pa.types.is_floating(column.type) else column).cast(pa.string())


def _whole(column: pa.ChunkedArray, name: str, where: Where) -> pa.ChunkedArray:
    """Ids that are stored as floats, because of missing ones for example, as whole numbers; UserError at another."""
    values = column.cast(pa.float64()).to_numpy()
    missing = np.isnan(values)
    wrong = ~missing & ((values != np.rint(values)) | (np.abs(values) >= 2**53))
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{where(row)}: {name} is the float {float(values[row])!r}, expected an id: a whole number below 2^53, or "
            "better a column of whole numbers or text, which keeps every digit"
        )
    return pa.chunked_array([pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)])


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
            raise UserError(f"{file}: has no column {name!r}; {_way_out(names, flag)}")
    if len(set(chosen.values())) < len(chosen):
        raise UserError(f"{file}: one column is asked to be two things: {chosen}; name a column for each")
    if twice := [name for name in chosen.values() if names.count(name) > 1]:
        raise UserError(f"{file}:1: the header names a column twice: {', '.join(twice)}; remove or rename one of them")
    return chosen


DELIMITERS = ("::", ";", "\t", ",", "|")


def _way_out(names: list[str], flag: str) -> str:
    """What a wrong column most probably is: another delimiter than the ending promises, no header, spaces around."""
    if not names:
        return "its first line is empty, and should name the columns"
    shown = shorten(", ".join(names))
    if len(names) <= 2 and names[0].lower().startswith("sep="):
        return f"the first line is {names[0]!r}, expected the names of the columns: remove it"
    found = next((mark for mark in DELIMITERS if len(names) == 1 and mark in names[0]), "")
    if found:
        return f"the delimiter is {found!r}, expected ',' in .csv and a tab in .tsv: {shown}"
    if any(_is_number(name) for name in names if name):
        return f"the first line is data, expected the names of the columns (user,item,rating,timestamp): {shown}"
    spaced = [name for name in names if name != name.strip()]
    if spaced:
        return f"names begin or end with a space, {spaced[0]!r}; remove it, or name one as it is with {flag}: {shown}"
    return f"name one with {flag}: {shown}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def example(folder: Path) -> Sequence[Path]:
    """A CSV file with the names that need no flags."""
    file = folder / "interactions.csv"
    file.write_text("user,item,rating,timestamp\nann,tea,5,10\nann,salt,,20\nbob,tea,4,15\nbob,rice,1,30\n")
    return [file]
