"""Files of one study or one paper's row: YAML that makes one model."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from unblur.errors import UserError, explain

Kind = TypeVar("Kind", bound=BaseModel)


def load(file: Path, kind: type[Kind]) -> Kind:
    """What `file` holds, with its name without ending as `name`; UserError says what is wrong with it, and where."""
    try:
        return kind.model_validate({**_mapping(file), "name": file.stem})
    except ValidationError as error:
        raise UserError(f"{file}: {explain(error, 'field', kind.model_fields)}") from None


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{file}{line}: not valid YAML: {error.problem}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: found {type(content).__name__}, expected fields and their values")
    return content
