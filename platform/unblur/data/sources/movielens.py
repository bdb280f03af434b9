"""GroupLens's `ratings.dat`, `UserID::MovieID::Rating::Timestamp`, plain or inside the published zip file."""

from collections.abc import Sequence
from pathlib import Path

from unblur.data.interactions import Interactions, build
from unblur.data.reading import contents, delimited, lines_of
from unblur.data.request import DataRequest, Ties

TIES: Ties = "file"
"""Ratings of one second are in the order in which they were given, as far as that is known."""


def load(files: Sequence[Path], request: DataRequest) -> Interactions:
    """Ratings from 1 to 5, timestamps in seconds."""
    (file,) = files
    data = contents(file, member="ratings.dat").replace(b"::", b"\t")  # the fast parser knows one-byte delimiters
    raw = delimited(file, data, ["user", "item", "rating", "timestamp"], delimiter="\t")
    return build(raw, file, lines_of(file), request, scale=(1, 5), ties=TIES)


def example(folder: Path) -> Sequence[Path]:
    """Two users, two ratings each."""
    file = folder / "ratings.dat"
    file.write_text("1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n2::1357::1::978298709\n")
    return [file]
