"""What all jobs' options have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from unblur.errors import UserError, explain


class Options(BaseModel):
    """Flags of a job, one per field. A value out of range is a UserError that names the flag."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(explain(error, "flag", type(self).model_fields, _flag)) from None


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}" if field else ""
