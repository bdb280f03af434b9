"""Columns of a table, out of text or Parquet: ids and text as text, ratings as numbers, times as they are stored."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unblur.data.reading import Lines, Where, delimited, header, lines_of, opened, quoted_rows
from unblur.data.table_format import SEPARATOR, TableFormat, head_of, is_parquet, text_of
from unblur.errors import UserError

Chosen = Mapping[str, str]
"""From our names (user, item, rating, timestamp, title) to the file's."""


def names_of(file: Path, form: TableFormat) -> list[str]:
    """The names of all columns, of a text without a header 1, 2, ... Raises UserError."""
    if is_parquet(file):
        with opened(file) as stream:
            return list(pq.ParquetFile(stream).schema_arrow.names)
    return _names(file, *head_of(file, form), form)


def _names(file: Path, data: bytes, delimiter: str, form: TableFormat) -> list[str]:
    first = header(file, data, delimiter)
    return first if form.header else [str(place + 1) for place in range(len(first))]


def columns_of(file: Path, form: TableFormat, chosen: Chosen) -> tuple[pd.DataFrame, Where, list[str]]:
    """The chosen columns by our names, where a row is in the file, and notes. Raises UserError, naming the line."""
    return _parquet(file, chosen) if is_parquet(file) else _text(file, form, chosen)


def _text(file: Path, form: TableFormat, chosen: Chosen) -> tuple[pd.DataFrame, Where, list[str]]:
    data, delimiter = text_of(file, form)
    skip = int(form.header)
    rows, notes = _rows(file, data, delimiter)
    used = list(chosen.values())
    names = _names(file, data, delimiter, form)
    known = [name if name in used else f"column {place}" for place, name in enumerate(names)]
    frame = delimited(file, data, known, delimiter, skip=skip, only=used, rows=rows)
    where = lines_of(file, 1 + skip) if rows is None else (lambda row: f"{file}:{rows[row + skip]}")
    return frame.set_axis(list(chosen), axis="columns"), where, notes


def _rows(file: Path, data: bytes, delimiter: str) -> tuple[Lines | None, list[str]]:
    """The line of each row where there are quoted cells, and what is odd about them."""
    if b'"' not in data or delimiter == SEPARATOR:
        return None, []
    try:
        rows = quoted_rows(file, data, delimiter)
    except UserError as error:
        if delimiter != "\t":
            raise
        # the bare form, in which no cell is quoted
        return None, [f"note: quotes are taken as letters, because {error}"]
    broken = int((np.diff(rows) > 1).sum())
    return rows, [f"note: {broken:,} rows go over several lines, inside quotes"] if broken else []


def _parquet(file: Path, chosen: Chosen) -> tuple[pd.DataFrame, Where, list[str]]:
    """Ids as text, ratings as numbers, time as it is stored or, for a date, as text."""

    def where(row: int) -> str:
        return f"{file}, row {row}"

    with opened(file) as stream:
        table = pq.ParquetFile(stream).read(list(chosen.values()))
        cast = {ours: _typed(file, table, theirs, ours, where) for ours, theirs in chosen.items()}
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
