"""JSON lines, one object per line, read in blocks so that a file may be larger than memory."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.json as pa_json

from unblur.data.reading import opened
from unblur.errors import UserError

BLOCK = 1 << 26  # bytes; a line of the public files is a review, a few kilobytes

Fields = dict[str, pa.DataType]


def read(file: Path, fields: Fields) -> pd.DataFrame:
    """The `fields` of every line of `file` (plain or .gz) as columns; row r is line r + 1.

    Raises UserError naming the first line that is no JSON object with all of these fields.
    """
    tables: list[pa.Table] = []
    with opened(file) as stream:
        for block in _blocks(stream):
            tables.append(_parse(file, block, sum(table.num_rows for table in tables), fields))
    if not tables:
        raise UserError(f"{file}: is empty, expected one JSON object per line")
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The stream cut at line ends."""
    rest = b""
    while chunk := stream.read(BLOCK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        yield rest


def _parse(file: Path, block: bytes, lines_before: int, fields: Fields) -> pa.Table:
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    try:
        table = _table(block, fields)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _explained(file, block, lines_before, fields, str(error)) from error
    if table.num_rows != lines or any(column.null_count for column in table.columns):
        raise _explained(file, block, lines_before, fields, f"{table.num_rows} objects in {lines} lines")
    return table.select(list(fields))


def _table(block: bytes, fields: Fields) -> pa.Table:
    block.decode()  # the parser does not look
    return pa_json.read_json(
        io.BytesIO(block),
        pa_json.ReadOptions(block_size=len(block) + 1),
        pa_json.ParseOptions(explicit_schema=pa.schema(list(fields.items())), unexpected_field_behavior="ignore"),
    )


def _explained(file: Path, block: bytes, lines_before: int, fields: Fields, otherwise: str) -> UserError:
    """What is wrong with the first bad line: the fast parser does not say, so the block is read once more."""
    for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), lines_before + 1):
        if wrong := _wrong(line, fields):
            return UserError(f"{file}:{number}: {wrong}")
    return UserError(f"{file}: expected one JSON object per line ({otherwise})")


def _wrong(line: bytes, fields: Fields) -> str | None:
    try:
        record = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return f"found no valid JSON ({error}), expected one object per line"
    if not isinstance(record, dict):
        return f"found a {type(record).__name__}, expected a JSON object"
    for name, kind in fields.items():
        types = (str,) if kind == pa.string() else (int,) if kind == pa.int64() else (int, float)
        if not isinstance(record.get(name), types) or isinstance(record[name], bool):
            found = repr(record[name]) if name in record else "nothing"
            return f"field {name!r} holds {found}, expected {'text' if types == (str,) else 'a number'}"
    try:
        _table(line, fields)
    except pa.ArrowException as error:
        return f"found no usable JSON ({error}), expected one object per line"
    return None
