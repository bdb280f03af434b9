"""How a table is written as text: delimiter, header, encoding; as its ending says, or as its head shows."""

import codecs
import csv
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from unblur.data.reading import contents, opened
from unblur.errors import UserError, shorten

HEAD, ROWS = 1 << 20, 2000
"""Bytes and rows at the head of a file that are looked at."""
MARKS = ("::", "\t", ";", "|", ",", " ")
"""Delimiters there are, the surer ones first."""
SEPARATOR = "\x1f"
"""Stands for `::`, since the fast parser knows delimiters of one byte."""
PARQUET = ".parquet"


def _known_mark(mark: str) -> str:
    if mark not in MARKS:
        raise ValueError(f"expected one of {', '.join(map(repr, MARKS))}")
    return mark


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError("expected the name of an encoding, such as utf-8, utf-16 or cp1252") from None
    return name


class TableFormat(BaseModel):
    """How the text of a table is written; of no meaning for Parquet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: Annotated[str, AfterValidator(_known_mark)] = ","
    header: bool = True
    """Whether the first line names the columns; else they are called 1, 2, ..."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"


def by_ending(file: Path) -> TableFormat:
    """What .csv and .tsv promise."""
    return TableFormat(delimiter="\t" if ".tsv" in file.name.lower() else ",")


def is_parquet(file: Path) -> bool:
    return file.suffix.lower() == PARQUET


def text_of(file: Path, form: TableFormat) -> tuple[bytes, str]:
    """The file in UTF-8, and the one-byte delimiter of its columns. Raises UserError."""
    return _plain(file, contents(file), form, whole=True)


def head_of(file: Path, form: TableFormat) -> tuple[bytes, str]:
    """The same of the first HEAD bytes."""
    with opened(file) as stream:
        data = stream.read(HEAD)
    if not data.strip():
        raise UserError(f"{file}: is empty, expected lines of data")
    return _plain(file, data, form, whole=False)


def _plain(file: Path, data: bytes, form: TableFormat, whole: bool) -> tuple[bytes, str]:
    if codecs.lookup(form.encoding).name != "utf-8":
        try:
            data = codecs.getincrementaldecoder(form.encoding)().decode(data, final=whole).encode()
        except UnicodeError as error:
            raise UserError(f"{file}: is no text in {form.encoding} ({error}); name another encoding") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    return (data.replace(b"::", SEPARATOR.encode()), SEPARATOR) if form.delimiter == "::" else (data, form.delimiter)


def cells(lines: list[str], delimiter: str) -> list[list[str]]:
    """The cells of lines of text; quotes have their meaning where the delimiter is one byte."""
    if delimiter == "::":
        return [line.split("::") for line in lines]
    return list(csv.reader(lines, delimiter=delimiter))


def found_in(file: Path) -> tuple[TableFormat, list[list[str]]]:
    """The format that a text file's head shows, and the cells of its first rows of data.

    UserError when it is no table: no delimiter cuts all lines into as many cells.
    """
    encoding, text, whole = _decoded(file)
    every = [line for line in text.splitlines() if line.strip()]
    lines, whole = every[:ROWS], whole and len(every) <= ROWS
    if not lines:
        raise UserError(f"{file}: is empty, expected lines of data")
    if lines[0].lstrip()[:1] in "{[":
        raise UserError(f"{file}: holds JSON, expected a table; write it as CSV or Parquet first")
    delimiter, rows = _delimiter(file, lines, whole)
    header = not any(is_number(cell) or looks_dated(cell) for cell in rows[0])
    return TableFormat(delimiter=delimiter, header=header, encoding=encoding), rows


def _decoded(file: Path) -> tuple[str, str, bool]:
    """Name of the encoding, the whole lines at the head, and whether they are all."""
    if file.suffix.lower() == ".zip":
        raise UserError(f"{file}: is an archive, expected the table in it: unpack it first")
    with opened(file) as stream:
        head = stream.read(HEAD)
        whole = not stream.read(1)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
        except UnicodeError:
            continue
        text = text.removeprefix("\ufeff")
        return encoding, text if whole else text.rpartition("\n")[0], whole
    raise UserError(f"{file}: begins as UTF-16 and is none, expected text")


def _delimiter(file: Path, lines: list[str], whole: bool) -> tuple[str, list[list[str]]]:
    """The mark that cuts all lines into as many cells, the most; a space only where no other does."""
    fits: dict[str, list[list[str]]] = {}
    for mark in MARKS:
        try:
            rows = cells(lines, mark)
        except csv.Error:
            continue
        widths = {len(row) for row in (rows if whole else rows[:-1])}  # a part may end within a quoted cell
        if len(widths) == 1 and widths.pop() > 1 and (mark != " " or not fits):
            fits[mark] = rows
    if not fits:
        raise UserError(
            f"{file}: no delimiter cuts its first {len(lines):,} lines into as many cells each (tried "
            f"{', '.join(map(repr, MARKS))}); expected a table, a row for each interaction. Line 1 is "
            f"{shorten(lines[0])!r}"
        )
    mark = max(fits, key=lambda mark: len(fits[mark][0]))
    return mark, fits[mark]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def looks_dated(text: str) -> bool:
    """Whether it begins as an ISO date does."""
    return len(text) >= 8 and text[:4].isdecimal() and text[4] == "-" and text[5:7].isdecimal()
