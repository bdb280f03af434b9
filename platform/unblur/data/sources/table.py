"""A person's own CSV, TSV or Parquet file with named columns."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unblur.data.guessing import by_usual_names
from unblur.data.interactions import Interactions, build
from unblur.data.numeric import times
from unblur.data.request import ColumnFlags, DataRequest
from unblur.data.table_format import TableFormat, by_ending, is_number
from unblur.data.tables import columns_of, names_of
from unblur.errors import UserError, shorten

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """User, item and, where there are such columns, rating (any scale, empty = unknown) and time."""
    (file,) = files
    if not file.name.lower().endswith(SUFFIXES):
        raise UserError(
            f"{file}: has no known ending, expected one of {', '.join(SUFFIXES)}; `unblur data` looks at any other and "
            "describes it"
        )
    return read(file, by_ending(file), request, request)


def read(file: Path, form: TableFormat, columns: ColumnFlags, request: DataRequest) -> Interactions:
    """The interactions in a table that is written in this form. Raises UserError."""
    raw, where, notes = columns_of(file, form, _columns(file, names_of(file, form), columns))
    if "timestamp" in raw:
        raw["timestamp"] = times(raw.timestamp, where, "time")
    data = build(raw, file, where, request, unknown_ratings=True)
    data = replace(data, notes=(*notes, *data.notes))
    return data if "timestamp" in raw else replace(data, no_order="name a column of times with --time-column")


def _columns(file: Path, names: list[str], request: ColumnFlags) -> dict[str, str]:
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


DESCRIBE = "a description of the file, which `unblur data` writes"
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
        return f"the delimiter is {found!r}, expected ',' in .csv and a tab in .tsv (or {DESCRIBE}): {shown}"
    if any(is_number(name) for name in names if name):
        return (
            "the first line is data, expected the names of the columns (user,item,rating,timestamp), or "
            f"{DESCRIBE}: {shown}"
        )
    spaced = [name for name in names if name != name.strip()]
    if spaced:
        return f"names begin or end with a space, {spaced[0]!r}; remove it, or name one as it is with {flag}: {shown}"
    return f"{_proposed(names, flag)}name one with {flag}: {shown}"


def _proposed(names: list[str], flag: str) -> str:
    """The flags for all columns that have a usual name, if the one that is missing has: one at a time would be a
    question for each."""
    flags = {f"--{role}-column": shlex.quote(name) for role, name in by_usual_names(names).items()}
    told = " ".join(f"{each} {name}" for each, name in flags.items())
    return f"did you mean {told}? Else " if flag in flags else ""


def example(folder: Path) -> Sequence[Path]:
    """A CSV file with the names that need no flags."""
    file = folder / "interactions.csv"
    file.write_text("user,item,rating,timestamp\nann,tea,5,10\nann,salt,,20\nbob,tea,4,15\nbob,rice,1,30\n")
    return [file]
