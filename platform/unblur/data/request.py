"""What a person asks of the data layer; its fields are the command line's flags."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from unblur.options import Listed, Options, Topic
from unblur.registry import functions, known

SPLITS = functions("split", "unblur.data.splits")
PROTOCOLS = functions("protocol", "unblur.data.protocols")
Ties = Literal["file", "item", "hash"]
Targets = Literal["all", "first", "last"]
Seen = Literal["masked", "allowed"]
Repeats = Literal["first", "keep"]
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


REMOTE = ("https", "http", "s3")


def is_remote(place: str) -> bool:
    """Whether a place is an address and not a path."""
    return "://" in place


def name_of(dataset: str) -> str:
    """Name of a dataset, as experiments and models are called: that of a file without folder and ending."""
    return Path(dataset.partition("?")[0] if is_remote(dataset) else dataset).stem


def _reachable(dataset: str) -> str:
    scheme = dataset.partition("://")[0]
    if is_remote(dataset) and scheme not in REMOTE:
        raise ValueError("expected a preset, a path on this machine, or an address: https://..., s3://bucket/...")
    return dataset


def _datasets() -> list[str]:
    from unblur.data.presets import PRESETS  # late: it imports this module

    return [*sorted(PRESETS), "or a path"]


class ColumnFlags(Options):
    """Which columns of a person's own file are what."""

    topic = Topic.OWN_FILE

    user_column: str | None = None
    """For a path: the column of user ids [user]."""
    item_column: str | None = None
    """For a path: the column of item ids [item]."""
    rating_column: str | None = None
    """For a path: the column of ratings, an empty cell meaning unknown [rating, if there is one]."""
    time_column: str | None = None
    """For a path: the column of times, numbers or ISO dates [timestamp, if there is one]."""


class FilterFlags(Options):
    """What is left out of the raw data."""

    topic = Topic.FILTERS

    min_rating: float | None = None
    """Ratings from here on are hits; left out, the dataset's own threshold."""
    k_core: int | None = Field(None, ge=1)
    """Keep users and items with at least so many interactions, again and again until all have; in place of the
    dataset's own filters."""
    min_per_user: int | None = Field(None, ge=1)
    """Keep users with at least so many interactions, once; in place of the dataset's own filters."""
    min_per_item: int | None = Field(None, ge=1)
    """Then keep items with at least so many of what is left, once; in place of the dataset's own filters."""

    @model_validator(mode="after")
    def _one_minimum(self) -> Self:
        if self.k_core is not None and (self.min_per_user, self.min_per_item) != (None, None):
            raise ValueError("--k-core is a minimum of users and items already; leave --min-per-user and -item out")
        return self


class DataRequest(ColumnFlags, FilterFlags):
    """Which data to prepare, and how."""

    topic = Topic.DATA

    dataset: Annotated[str, AfterValidator(_reachable), Listed(_datasets)] = "sample"
    """A preset; a CSV, TSV or Parquet file, as a path, https:// or s3://; or a description that `unblur data` wrote."""
    protocol: Annotated[str, known(PROTOCOLS), Listed(PROTOCOLS.described)] = "clean"
    """What is done to train and valid, the test set staying as it is."""
    protocol_share: float | None = None
    """How much, for a protocol that is told: of noise from 0 to 0.5, of what is kept of train from 0.1 to 1."""
    split: Annotated[str | None, known(SPLITS), Listed(SPLITS.described)] = None
    """How train, valid and test are divided; left out, the dataset's own way."""
    ties: Ties | None = None
    """Which of a user's interactions at equal times is the earlier: the one that the file names first, the one with the
    smaller item id, or (hash) drawn by --data-seed, whatever the order of the rows [file for MovieLens, else hash]."""
    ratios: Annotated[str | None, AfterValidator(_checked)] = None
    """Percentages of train, valid and test; with two of them, such as 80/20, valid is a tenth of train; left out,
    70/20/10, of users 80/10/10."""
    targets: Targets | None = None
    """Which of a user's interactions between two moments of global_time are to be found; what comes before the first or
    last is input [all]."""
    seen: Seen = "masked"
    """Whether what a user has in train (at the test: in validation too) may be recommended."""
    repeats: Repeats = "first"
    """Of a pair of user and item that occurs again the first interaction counts, or all are kept in their order."""
    strict: bool = False
    """Refuse a file that holds a user-item pair twice, instead of keeping the first."""
    data_seed: int = Field(default=0, ge=0)
    """Seed of what is drawn in making the data: the sample, noise, random divisions, the order of equal times."""
