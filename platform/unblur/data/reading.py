"""Bytes out of plain, gzip and zip files, columns out of text; every error names the file and the line."""

import codecs
import csv
import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from unblur.errors import UserError

Lines = NDArray[np.int64]
Where = Callable[[int], str]
"""From the 0-based row of a parsed file to the `file:line` that a person can look up."""

DAMAGED = (
    *(OSError, EOFError, RuntimeError, ValueError, IndexError),  # RuntimeError: encrypted, or an unknown compression
    *(zlib.error, zipfile.BadZipFile, struct.error, pa.ArrowException),
)
"""What gzip, zipfile and pyarrow raise over damaged input."""


BLOCK = 1 << 24  # bytes that are parsed at a time


def lines_of(file: Path, first: int = 1) -> Where:
    """Rows that are one line each, the first of them on line `first`."""
    return lambda row: f"{file}:{row + first}"


@contextmanager
def opened(file: Path, member: str = "") -> Iterator[BinaryIO]:
    """The bytes of `file`, unpacked if its name ends in .gz or .zip (there: the file called `member`)."""
    try:
        with _stream(file, member) as stream:
            yield stream
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"{file}: cannot be read ({error}); if it is truncated or damaged, fetch it again") from error


def _stream(file: Path, member: str) -> BinaryIO:
    if file.suffix == ".gz":
        return gzip.open(file)  # type: ignore[return-value]  # a GzipFile reads like any binary file
    if file.suffix != ".zip":
        return file.open("rb")
    archive = zipfile.ZipFile(file)
    found = [name for name in archive.namelist() if Path(name).name == member]
    if len(found) != 1:
        raise UserError(f"{file}: holds {len(found)} files called {member!r}, expected exactly one")
    return archive.open(found[0])  # type: ignore[return-value]


def contents(file: Path, member: str = "") -> bytes:
    """All bytes of `file` (see `opened`). Raises UserError if it cannot be read or holds nothing."""
    with opened(file, member) as stream:
        data = stream.read()
    if not data.strip():
        raise UserError(f"{file}: is empty, expected lines of data")
    return data


def header(file: Path, data: bytes, delimiter: str) -> list[str]:
    """The column names on the first line of a CSV or TSV file."""
    line = data.split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf")
    if b"\r" in line.rstrip(b"\r"):
        raise UserError(f"{file}: lines end with CR alone, expected LF or CR LF")
    check_utf8(file, line)
    try:
        return next(csv.reader([line.decode().strip("\r")], delimiter=delimiter), [])
    except csv.Error as error:
        raise UserError(f"{file}:1: the header cannot be read ({error}); expected column names") from error


def delimited(
    file: Path,
    data: bytes,
    names: Sequence[str],
    delimiter: str = ",",
    skip: int = 0,
    only: Sequence[str] | None = None,
    rows: Lines | None = None,
) -> pd.DataFrame:
    """The lines of `data` after the first `skip` as columns of text, empty cells as missing.

    `only`: the columns to keep. One row is one line and a quote a letter, unless `quoted_rows` has found the `rows`.
    """
    check_utf8(file, data)
    bad: list[pa_csv.InvalidRow] = []

    def stop(row: pa_csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    try:
        table = pa_csv.read_csv(
            io.BytesIO(data),
            # one thread: only then are the numbers of invalid rows known
            pa_csv.ReadOptions(use_threads=False, column_names=list(names), skip_rows=skip, block_size=BLOCK),
            pa_csv.ParseOptions(
                delimiter=delimiter,
                quote_char=False if rows is None else '"',
                newlines_in_values=rows is not None,  # else a quoted cell is cut where a block ends
                ignore_empty_lines=False,
                invalid_row_handler=stop,
            ),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=list(only or names),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        raise _unparsable(file, bad, len(names), rows, error) from error
    if rows is not None and table.num_rows != len(rows) - skip:
        raise UserError(
            f"{file}: two readings of its quotes differ: {table.num_rows} rows and {len(rows) - skip}; expected "
            'quotes as in "a ""word"" in it"'
        )
    frame: pd.DataFrame = table.to_pandas()
    return frame


def quoted_rows(file: Path, data: bytes, delimiter: str) -> Lines:
    """The 1-based line on which each row of `data`, the header among them, begins.

    Raises UserError, naming the line on which the row begins, where a quoted cell is not closed or goes on after its
    closing quote: a lenient reader takes all that lies between two such quotes for one cell.
    """
    check_utf8(file, data)
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    rows, starts = csv.reader(text, delimiter=delimiter, strict=True), [1]
    try:
        starts.extend(rows.line_num + 1 for _ in rows)
    except csv.Error as error:
        raise UserError(
            f"{file}:{starts[-1]}: a cell that begins with a quote is not closed in this row ({error}); expected "
            'the whole cell in quotes, and a quote inside it twice: "a ""word"" in it"'
        ) from error
    return np.array(starts[:-1], dtype=np.int64)


def _unparsable(
    file: Path, bad: list[pa_csv.InvalidRow], columns: int, rows: Lines | None, error: Exception
) -> UserError:
    if bad:
        found = f"{bad[0].actual_columns} columns in {bad[0].text[:80]!r}"
        line = bad[0].number if rows is None else rows[bad[0].number - 1]
        return UserError(f"{file}:{line}: found {found}, expected {columns}")
    return UserError(f"{file}: is not the text it should be ({error}), expected {columns} columns in each line")


def check_utf8(file: Path, data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        found = "UTF-16" if utf16 else f"byte 0x{data[error.start]:02x}"
        raise UserError(f"{file}:{line}: found {found}, expected UTF-8 text") from error
