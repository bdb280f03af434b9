"""The one error that a user's mistake raises, and the words that every such message shares."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from pydantic import ValidationError


class UserError(Exception):
    """A mistake that the user can mend: bad data, flag, search space, service or path.

    Its text is the whole message: it names the file, line, field or flag, what was found, and what would be
    right. Jobs print it without a traceback and exit with status 2.
    """


class RunFailed(Exception):
    """The run itself failed after it had begun, in a way that is told in one message; jobs exit with status 1."""


def shorten(text: str, limit: int = 100) -> str:
    """The text, or its beginning and an ellipsis: what a message quotes from a file may be of any length."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones; suggests the nearest."""
    names, name = sorted(known), shorten(name)
    nearest = get_close_matches(name, names, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UserError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")


def explain(error: ValidationError, kind: str, known: Iterable[str], spell: Callable[[str], str] = str) -> str:
    """Pydantic's error in one line: which field, what was found, what would be right.

    kind, known: what a field is called, and the names of all. spell: how a person writes a field's name.
    """
    problems = []
    for detail in error.errors():
        text = detail["msg"].removeprefix("Value error, ")
        field = shorten(spell(".".join(map(str, detail["loc"]))))
        if detail["type"] == "extra_forbidden":
            problems.append(str(unknown(kind, field, map(spell, known))))
        elif detail["type"] == "missing":
            problems.append(f"{kind} {field} is missing")
        elif field:
            problems.append(f"{field} = {shorten(repr(detail['input']))}: {text}")
        else:
            problems.append(text)
    return "; ".join(problems)
