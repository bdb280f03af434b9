"""Titles of items, for people: out of the table that a description names."""

from pathlib import Path

from unblur.data import remote
from unblur.data.description import Titles, beside, is_description, read
from unblur.data.download import directory
from unblur.data.request import DataRequest
from unblur.data.table_format import TableFormat, found_in, is_parquet
from unblur.data.tables import columns_of, names_of
from unblur.errors import UserError, shorten


def titles_of(request: DataRequest, data_dir: Path | None) -> dict[str, str]:
    """The title of each item (raw ids) that has one; empty where the data have none. Raises UserError."""
    if not is_description(request.dataset):
        return {}
    file = Path(request.dataset).expanduser()
    titles = read(file).titles
    if titles is None:
        return {}
    return in_table(remote.here(beside(file, titles.file), directory(data_dir)), titles)


def in_table(file: Path, titles: Titles) -> dict[str, str]:
    """The titles in a table; of an item that is there twice the first counts. Raises UserError."""
    if not file.is_file():
        raise UserError(f"{file}: no such file of titles; correct `titles: file` in the description")
    form = TableFormat() if is_parquet(file) else found_in(file)[0]
    known = names_of(file, form)
    for column in (titles.item, titles.title):
        if column not in known:
            raise UserError(f"{file}: has no column {column!r} for titles; there are {shorten(', '.join(known))}")
    frame, _, _ = columns_of(file, form, {"item": titles.item, "title": titles.title})
    frame = frame.dropna().drop_duplicates("item")
    return dict(zip(frame.item.tolist(), frame.title.astype(str).tolist(), strict=True))
