"""Which columns of a table are user, item, rating and time: by their usual names, else by place and type.

A guess that is not sure is a question: a UserError that lists the columns and the flags that answer it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from unblur.data.description import Columns
from unblur.data.reading import opened
from unblur.data.request import ColumnFlags
from unblur.data.table_format import ROWS, TableFormat, found_in, is_number, is_parquet, looks_dated
from unblur.data.tables import names_of
from unblur.errors import UserError, shorten

USUAL = {
    "user": "user userid uid customer customerid visitorid listener listenerid reviewerid member memberid account "
    "accountid client clientid viewer viewerid reader player personid session sessionid",
    "item": "item itemid iid product productid movie movieid track trackid song songid artist artistid book bookid "
    "isbn parentasin asin sku article articleid video videoid show showid anime animeid game gameid news newsid "
    "business businessid recipe recipeid poi venueid stockcode",
    "rating": "rating ratings stars star score overall bookrating userrating reviewscore preference",
    "time": "timestamp time datetime date ts unixtimestamp unixreviewtime createdat created ratedat playedat eventtime "
    "reviewtime ratingtimestamp when invoicedate day",
}
"""Names without case and anything but letters and digits, the surer ones first."""
EPOCHS = (
    ("seconds", 1e8, 1e10),
    ("milliseconds", 1e11, 1e13),
    ("microseconds", 1e14, 1e16),
    ("nanoseconds", 1e17, 1e19),
)
"""Units of times that count from 1970, and the numbers that 1973 to 2286 are in them."""
FEW = 21
"""Different ratings there are at most: half stars up to ten and nought."""


@dataclass(frozen=True)
class Guess:
    """What a table is, and how that was found."""

    form: TableFormat
    columns: Columns
    how: str
    """By what the columns were chosen."""


def guess(file: Path, asked: ColumnFlags) -> Guess:
    """The form and columns of a file; what is `asked` for is not guessed. UserError: the question that is open."""
    form, names, head = look(file)
    chosen = {role: column for role in USUAL if (column := getattr(asked, f"{role}_column")) is not None}
    for role, column in chosen.items():
        if column not in names:
            raise UserError(f"{file}: has no column {column!r} for --{role}-column; {_columns(names, head)}")
    how = "as asked" if len(chosen) == len(USUAL) else "by their names" if form.header else "by their places and types"
    free = [name for name in names if name not in chosen.values()]
    found = _by_name(free, head, chosen) if form.header else _by_place(names, head, chosen)
    chosen = {**found, **chosen}
    if lacking := [role for role in ("user", "item") if role not in chosen]:
        roles = " and the ".join(lacking)
        flags = " and ".join(f"--{role}-column" for role in lacking)
        raise UserError(
            f"{file}: which column is the {roles}? Name {'it' if len(lacking) == 1 else 'them'} with {flags}; "
            f"{_columns(names, head)}"
        )
    return Guess(form, Columns(**chosen), how)


def look(file: Path) -> tuple[TableFormat, list[str], pd.DataFrame]:
    """The form, all names, and the first rows as text, a column for each name. Raises UserError."""
    if is_parquet(file):
        names = names_of(file, TableFormat())
        with opened(file) as stream:
            batch = next(pq.ParquetFile(stream).iter_batches(ROWS), None)
        frame = batch.to_pandas() if batch is not None else pd.DataFrame(columns=names)
        return TableFormat(), names, frame.astype(object).where(frame.notna(), "").astype(str)
    form, rows = found_in(file)
    names = names_of(file, form)
    rows = [row for row in rows[int(form.header) :] if len(row) == len(names)]
    return form, names, pd.DataFrame(rows, columns=range(len(names))).set_axis(names, axis="columns").astype(str)


def _by_name(names: Sequence[str], head: pd.DataFrame, chosen: dict[str, str]) -> dict[str, str]:
    """Roles by the usual names, where the cells can be what the name says; time also by its dates alone."""
    plain = {plain_name(name): name for name in reversed(names) if names.count(name) == 1}
    found: dict[str, str] = {}
    for role in USUAL.keys() - chosen.keys():
        fitting = (plain[usual] for usual in USUAL[role].split() if usual in plain)
        name = next((name for name in fitting if _can_be(role, head[name])), None)
        found |= {} if name is None else {role: name}
    dated = [name for name in plain.values() if name not in found.values() and is_time(head[name])]
    if "time" not in found and "time" not in chosen and len(dated) == 1:
        found["time"] = dated[0]
    return found


def by_usual_names(names: Sequence[str]) -> dict[str, str]:
    """The columns that have a role's usual name, by role; what is in them is not looked at."""
    plain = {plain_name(name): name for name in reversed(names)}
    fitting = {role: [plain[usual] for usual in USUAL[role].split() if usual in plain] for role in USUAL}
    return {role: found[0] for role, found in fitting.items() if found}


def _by_place(names: Sequence[str], head: pd.DataFrame, chosen: dict[str, str]) -> dict[str, str]:
    """Without names: user, item, then a rating and a time in any order; nothing where that leaves a doubt."""
    free = [name for name in names if name not in chosen.values()]
    ids = [role for role in ("user", "item") if role not in chosen]
    first, rest = free[: len(ids)], free[len(ids) :]
    if len(first) < len(ids) or any(not _can_be("user", head[name]) for name in first):
        return {}
    found = dict(zip(ids, first, strict=True))
    for name in rest:
        fits = [role for role in ("time", "rating") if role not in {*found, *chosen} and _can_be(role, head[name])]
        if fits:
            found[fits[0]] = name
        elif not set(ids) <= chosen.keys():
            return {}  # another kind of column: the ids may lie elsewhere too
    return found


def plain_name(name: str) -> str:
    """The name as in USUAL; RecBole's types (`user_id:token`) are no part of it."""
    return re.sub(r"[^a-z0-9]", "", name.lower().partition(":")[0])


def _can_be(role: str, cells: "pd.Series[str]") -> bool:
    known = cells[cells != ""]
    if role == "time":
        return is_time(cells)
    if role == "rating":
        numbers = bool(known.map(is_number).all()) and len(known) > 0
        return numbers and (known.nunique() <= FEW or not known.str.fullmatch(r"[0-9]{6,}").any())
    broken = known.map(lambda text: (is_number(text) and float(text) % 1 != 0) or looks_dated(text))
    return len(known) > 0 and not broken.any()


def is_time(cells: "pd.Series[str]") -> bool:
    """Whether all cells are ISO dates, or numbers that are moments since 1970."""
    known = cells[cells != ""]
    if known.empty:
        return False
    if known.map(is_number).all():
        return unit_of(known.astype(float)) is not None
    return bool(pd.to_datetime(known, format="ISO8601", errors="coerce", utc=True).notna().all())


def unit_of(times: "pd.Series[float]") -> str | None:
    """The unit since 1970 in which these numbers are moments; None where they are none."""
    low, high = times.min(), times.max()
    return next((unit for unit, least, most in EPOCHS if least <= low and high <= most), None)


def _columns(names: Sequence[str], head: pd.DataFrame) -> str:
    """All columns with what is in them, for a question."""
    seen = []
    for place, name in enumerate(names):
        cells = head.iloc[:, place]
        example = f", such as {shorten(cells.iloc[0], 24)!r}" if len(cells) else ""
        seen.append(f"{shorten(name, 40)} ({cells.nunique():,} different in the first {len(cells):,} rows{example})")
    return "there are " + ", ".join(seen[:20])
