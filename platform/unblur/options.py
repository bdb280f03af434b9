"""What all jobs' options have in common."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tyro
from pydantic import BaseModel, ConfigDict, ValidationError

from unblur.errors import UserError, explain


class Options(BaseModel):
    """Flags of a job, one per field. A value out of range is a UserError that names the flag."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            _refuse_address(name, value)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(explain(error, "flag", type(self).model_fields, _flag)) from None

    def words(self, *fields: str) -> list[str]:
        """These fields [all] as they are typed, those that have their defaults left out."""
        found: list[str] = []
        for name in fields or type(self).model_fields:
            value, default = getattr(self, name), type(self).model_fields[name].get_default(call_default_factory=True)
            if isinstance(value, Options):
                found += value.words()
            elif value != default:
                found += [_flag(name)] if value is True else [_flag(name), str(value)]
        return found


def _refuse_address(name: str, value: Any) -> None:
    """UserError for an address of a bucket where a file on this machine is meant: it would be a folder called `s3:`."""
    if isinstance(value, Path) and (found := re.match(r"([a-z][a-z0-9+.-]+):/+(.*)", str(value))):
        raise UserError(
            f"{_flag(name)} {'://'.join(found.groups())}: expected a path on this machine; --storage alone, and "
            "--model for what lies there, can be in a bucket"
        )


def listed(names: Callable[[], Iterable[str]]) -> Any:
    """For `Annotated[str, listed(METRICS.names)]`: --help ends with the names, looked up when it is asked for."""

    def hint(default: str) -> str:
        return f"(default: {default}; known: {', '.join(names())})"

    return tyro.conf.arg(help_behavior_hint=hint)


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}" if field else ""
