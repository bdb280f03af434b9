"""`unblur data`: what a person's own file is, and the description of it that every command takes."""

import os
from dataclasses import dataclass
from pathlib import Path

from unblur.data import remote
from unblur.data.description import Description, Filters, Titles, read
from unblur.data.download import directory
from unblur.data.facts import DataFacts, facts_of
from unblur.data.filters import Filter, MinRating, apply
from unblur.data.guessing import USUAL, Guess, guess, look, plain_name
from unblur.data.presets import minimums
from unblur.data.request import DataRequest, is_remote, name_of
from unblur.data.sources import table
from unblur.data.titles import in_table
from unblur.errors import UserError
from unblur.experiments.options import DescribeOptions
from unblur.files import write_output


@dataclass(frozen=True)
class DataDescription:
    """What a file is, and what was written of it."""

    source: str
    """As it was named."""
    guess: Guess
    notes: tuple[str, ...]
    facts: DataFacts
    titles: int | None
    """Items of the file that have a title; None without a table of them."""
    file: Path
    """The description, for `--dataset`."""

    @property
    def page(self) -> Path:
        """Where the page lies."""
        return self.file.with_suffix(".html")


def describe(options: DescribeOptions) -> DataDescription:
    """Look at the file, guess what is not said, write the description. Raises UserError, also for a question."""
    out = options.out or Path(f"{name_of(options.file)}.yaml")
    if out.suffix not in (".yaml", ".yml"):
        raise UserError(f"--out {out}: expected a name that ends in .yaml")
    file = _here(options.file, options.data_dir)
    found = guess(file, options)
    data = table.read(file, found.form, found.columns.flags(), DataRequest(dataset=options.file))
    threshold: tuple[Filter, ...] = () if options.min_rating is None else (MinRating(options.min_rating),)
    facts = facts_of(data, apply(data, threshold + (minimums(options) or ())))
    titles = _titles(options, out) if options.titles else None
    named = in_table(_here(str(options.titles), options.data_dir), titles[0]) if titles else {}
    made = Description(
        source=_from(options.file, out),
        format=found.form,
        columns=found.columns,
        filters=Filters(**{name: getattr(options, name) for name in Filters.model_fields}),
        titles=titles[1] if titles else None,
    )
    _write(out, made)
    count = sum(item in named for item in data.items.tolist()) if titles else None
    return DataDescription(options.file, found, data.notes, facts, count, out)


def _here(place: str, data_dir: Path | None) -> Path:
    file = remote.here(place, directory(data_dir))
    if not file.is_file():
        raise UserError(f"{file}: {'is a folder, expected a file' if file.is_dir() else 'no such file'}")
    return file


def _titles(options: DescribeOptions, out: Path) -> tuple[Titles, Titles]:
    """The table of titles, as it is found from here and from the description. UserError: which columns it has."""
    place = str(options.titles)
    form, names, _ = look(_here(place, options.data_dir))
    if not form.header:
        item, title = names[0], names[1]
    else:
        plain = {plain_name(name): name for name in reversed(names)}
        item = next((plain[each] for each in (*USUAL["item"].split(), "id") if each in plain), "")
        title = next((plain[each] for each in ("title", "name", "itemname", "itemtitle") if each in plain), "")
    if not (item and title):
        raise UserError(
            f"--titles {place}: which columns are the item and its title? There are {', '.join(names)}; call them item "
            "and title"
        )
    return Titles(file=place, item=item, title=title), Titles(file=_from(place, out), item=item, title=title)


def _from(place: str, out: Path) -> str:
    """The place as it is named in the description `out`: a path from its folder."""
    if is_remote(place):
        return place
    return os.path.relpath(Path(place).expanduser().absolute(), out.absolute().parent)


HEAD = "# Written by `unblur data`; for --dataset, and to be edited: docs/usage.md says what it may hold.\n"


def _write(out: Path, made: Description) -> None:
    """Write the description; one that is there and says something else may have been edited, and stays."""
    if out.exists() and read(out) != made:
        raise UserError(f"{out}: is there already and says something else; remove it, or name another file with --out")
    write_output(out, HEAD + made.text(), "--out")
