"""What all jobs' options have in common."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from unblur.errors import UserError, explain


class Topic(Enum):
    """The groups of flags, in the order in which --help tells them."""

    DATA = "data"
    COMMAND = "options"
    SEARCH = "search"
    TRAINING = "training and test"
    OWN_FILE = "a file of your own"
    FILTERS = "what is left out of the data"
    COMPUTE = "compute"
    PLACES = "places"


@dataclass(frozen=True)
class Listed:
    """For `Annotated[str, Listed(METRICS.names)]`: --help ends with the names, looked up when it is asked for."""

    names: Callable[[], Iterable[str]]


class Options(BaseModel):
    """Flags of a job, one per field. A value out of range is a UserError that names the flag."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    topic: ClassVar[Topic] = Topic.COMMAND
    """Of the flags that the class declares."""

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            _refuse_address(name, value)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(explain(error, "flag", type(self).model_fields, flag)) from None

    def words(self, *fields: str) -> list[str]:
        """These fields [all] as they are typed, those that have their defaults left out."""
        found: list[str] = []
        for name in fields or type(self).model_fields:
            value, default = getattr(self, name), type(self).model_fields[name].get_default(call_default_factory=True)
            if isinstance(value, Options):
                found += value.words()
            elif value != default:
                found += [flag(name)] if value is True else [flag(name), str(value)]
        return found


def _refuse_address(name: str, value: Any) -> None:
    """UserError for an address of a bucket where a file on this machine is meant: it would be a folder called `s3:`."""
    if isinstance(value, Path) and (found := re.match(r"([a-z][a-z0-9+.-]+):/+(.*)", str(value))):
        raise UserError(
            f"{flag(name)} {'://'.join(found.groups())}: expected a path on this machine; --storage alone, and "
            "--model for what lies there, can be in a bucket"
        )


def flag(field: str) -> str:
    """A field's name as it is typed."""
    return f"--{field.replace('_', '-')}" if field else ""
