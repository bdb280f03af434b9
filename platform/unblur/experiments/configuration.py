"""One configuration from a file and from the command line."""

from pathlib import Path
from typing import Any

import yaml

from unblur.errors import UserError

MAX_BYTES = 1 << 20


def parameters(assignments: list[str], file: Path | None) -> dict[str, Any]:
    """The parameters in `file` (YAML or JSON), then those of `assignments` (name=value); UserError if unreadable."""
    params = _read(file) if file else {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--set {assignment}: expected name=value, such as lr=1e-3 or dims=[200,600]")
        params[name.strip()] = _value(text, f"--set {assignment}")
    return params


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UserError(f"--config {file}: {file.stat().st_size} bytes are no configuration")
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {file}: not YAML or JSON: {error}") from None
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        raise UserError(f"--config {file}: expected parameters as `name: value`, found {type(params).__name__}")
    return {name: _number(value) for name, value in params.items()}


def _value(text: str, where: str) -> Any:
    try:
        return _number(yaml.safe_load(text))
    except yaml.YAMLError:
        raise UserError(f"{where}: {text!r} is no value: numbers, true, false, words and [lists] are") from None


def _number(value: Any) -> Any:
    """YAML 1.1 takes 1e-3 for a word because it has no dot; nobody means that."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
