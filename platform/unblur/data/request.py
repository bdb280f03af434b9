"""What a person asks of the data layer; its fields are the command line's flags."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from unblur.options import Options, listed
from unblur.registry import functions, known

SPLITS = functions("split", "unblur.data.splits")
PROTOCOLS = functions("protocol", "unblur.data.protocols")
Ties = Literal["file", "item", "hash"]
Ratios = tuple[float, float, float]


def shares(text: str) -> Ratios:
    """The shares of train, validation and test in a text such as 70/20/10, or 80/20 without validation."""
    parts = text.split("/")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != len(parts) or len(parts) not in (2, 3) or sum(numbers) != 100 or 0 in (numbers[0], numbers[-1]):
        raise ValueError("expected percentages of train, valid and test that make 100, such as 70/20/10 or 80/20")
    return numbers[0] / 100, numbers[1] / 100 if len(numbers) == 3 else 0.0, numbers[-1] / 100


def _checked(ratios: str | None) -> str | None:
    if ratios is not None:
        shares(ratios)
    return ratios


def _here(dataset: str) -> str:
    if "://" in dataset:
        raise ValueError("expected a preset or a path on this machine; --storage alone can be in a bucket")
    return dataset


def _datasets() -> list[str]:
    from unblur.data.presets import PRESETS  # late: it imports this module

    return [*sorted(PRESETS), "or a path"]


class DataRequest(Options):
    """Which data to prepare, and how."""

    dataset: Annotated[str, AfterValidator(_here), listed(_datasets)] = "sample"
    """A preset, or the path of a CSV, TSV or Parquet file."""
    protocol: Annotated[str, known(PROTOCOLS), listed(PROTOCOLS.described)] = "clean"
    """What is done to train and valid, the test set staying as it is."""
    noise_share: float | None = None
    """Share of noise, from 0.1 to 0.5, for a protocol that adds as much as it is told."""
    split: Annotated[str | None, known(SPLITS), listed(SPLITS.described)] = None
    """How train, valid and test are divided; left out, the dataset's own way."""
    ties: Ties | None = None
    """Which of a user's interactions at equal times is the earlier: the one that the file names first, the one with the
    smaller item id, or (hash) drawn by --data-seed, whatever the order of the rows [file for MovieLens, else hash]."""
    ratios: Annotated[str | None, AfterValidator(_checked)] = None
    """Percentages of train, valid and test; with two of them, such as 80/20, valid is a tenth of train; left out,
    70/20/10."""
    min_rating: float | None = None
    """Ratings from here on are hits; left out, the dataset's own threshold."""
    strict: bool = False
    """Refuse a file that holds a user-item pair twice, instead of keeping the first."""
    user_column: str | None = None
    """For a path: the column of user ids [user]."""
    item_column: str | None = None
    """For a path: the column of item ids [item]."""
    rating_column: str | None = None
    """For a path: the column of ratings, an empty cell meaning unknown [rating, if there is one]."""
    time_column: str | None = None
    """For a path: the column of times, numbers or ISO dates [timestamp, if there is one]."""
    data_seed: int = Field(default=0, ge=0)
    """Seed of what is drawn in making the data: the sample, noise, random divisions, the order of equal times."""
