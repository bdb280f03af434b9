"""What a person asks of the data layer; its fields are the command line's flags."""

from typing import Literal

from pydantic import Field

from unblur.options import Options

Protocol = Literal["clean", "noisy_natural", "noisy_random"]
SplitName = Literal["per_user_time", "per_user_random", "global_time", "leave_one_out"]
HistoryName = Literal["train", "train+valid"]
Ties = Literal["file", "item", "hash"]
RatiosName = Literal["70/20/10", "80/10/10", "80/20"]


class DataRequest(Options):
    """Which data to prepare, and how."""

    dataset: str = "sample"
    """A preset (ml_1m, amazon_toys, sample, ...) or the path of a CSV, TSV or Parquet file."""
    protocol: Protocol = "clean"
    """clean; noisy_natural: low ratings among train and valid; noisy_random: random items added to them."""
    noise_share: float | None = None
    """Share of random interactions added by noisy_random, from 0.1 to 0.5."""
    split: SplitName | None = None
    """How train, valid and test are divided: by time or at random within each user, at two moments for all users, or
    with each user's last interaction as test and the one before it as valid; left out, the dataset's own way, which is
    per_user_time, leave_one_out or a division that comes with it."""
    ties: Ties | None = None
    """Which of a user's interactions at equal times is the earlier: the one that the file names first, the one with the
    smaller item id, or (hash) drawn by --data-seed, whatever the order of the rows [file for MovieLens, else hash]."""
    ratios: RatiosName | None = None
    """Shares of train, valid and test, with 80/20 valid being a tenth of train; left out, 70/20/10."""
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
