"""A table in any form, and before it the description that says how to read it (`data.description`)."""

from collections.abc import Sequence
from pathlib import Path

from unblur.data.description import read
from unblur.data.interactions import Interactions
from unblur.data.request import DataRequest
from unblur.data.sources import table


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """User, item, rating and time of the columns that the description (the first of the files) names."""
    description, file = files
    known = read(description)
    return table.read(file, known.format, known.columns.flags(), request)


def example(folder: Path) -> Sequence[Path]:
    """A table without names, and what says what is what."""
    description, file = folder / "plays.yaml", folder / "plays.txt"
    description.write_text(
        'source: plays.txt\nformat: {delimiter: ";", header: false}\ncolumns: {user: 2, item: 1, time: 3}\n'
    )
    file.write_text("tea;ann;10\nsalt;ann;20\ntea;bob;15\nrice;bob;30\n")
    return [description, file]
