"""Description of a person's own file, for `--dataset plays.yaml`: where it lies, its form, which columns are what.

source: ratings.csv                 # beside this file; a path, https:// or s3://
format: {delimiter: ";", header: true, encoding: utf-8}
columns: {user: userId, item: movieId, rating: stars, time: rated_at}
filters: {min_rating: 4, k_core: 5}
titles: {file: movies.csv, item: movieId, title: title}
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from unblur import documents
from unblur.data.request import ColumnFlags, FilterFlags, is_remote
from unblur.data.table_format import TableFormat

ENDINGS = (".yaml", ".yml")
Column = Annotated[str, BeforeValidator(lambda name: str(name) if type(name) is int else name)]
"""The name of a column; where there are none its number, from 1."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(_Part):
    """Names of the columns."""

    user: Column
    item: Column
    rating: Column | None = None
    time: Column | None = None

    def flags(self) -> ColumnFlags:
        """The same as the flags of a path."""
        return ColumnFlags(**{f"{name}_column": column for name, column in self if column is not None})


class Filters(_Part):
    """What is left out, where no flag says otherwise; as `--min-rating`, `--k-core` and so on."""

    min_rating: float | None = None
    k_core: int | None = Field(None, ge=1)
    min_per_user: int | None = Field(None, ge=1)
    min_per_item: int | None = Field(None, ge=1)


class Titles(_Part):
    """A table of the items' titles, in any of the forms that `unblur data` reads."""

    file: str
    item: Column
    title: Column


class Description(_Part):
    """All that has to be known to read a file."""

    source: str
    format: TableFormat = TableFormat()
    columns: Columns
    filters: Filters = Filters()
    titles: Titles | None = None

    def filter_flags(self) -> FilterFlags:
        """The filters as flags. Raises UserError where they contradict each other."""
        return FilterFlags(**self.filters.model_dump(exclude_none=True))

    def text(self) -> str:
        """As YAML; what has its default is left out, but for the format."""
        content = self.model_dump(exclude_none=True)
        if not content["filters"]:
            del content["filters"]
        written: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
        return written


def is_description(dataset: str) -> bool:
    return dataset.lower().endswith(ENDINGS) and not is_remote(dataset)


def read(file: Path) -> Description:
    """The description in a file. Raises UserError, naming file, line and field."""
    return documents.read(file).parse(Description)


def beside(file: Path, place: str) -> str:
    """A place that is named in the description `file`: an address, or a path that begins at the file's folder."""
    return place if is_remote(place) else str((file.absolute().parent / Path(place).expanduser()).absolute())
