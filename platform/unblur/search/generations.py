"""Which of a search's studies is meant: `--fresh` begins another generation beside those that there are."""

from collections.abc import Callable, Mapping
from typing import Any

IDENTITY, FRESH, ENDED = "identity", "fresh", "ended"
"""Attributes of a study: what it is, whether `--fresh` began it, whether it has come to its end."""


def chosen(base: str, known: Mapping[str, Mapping[str, Any]], fresh: bool, taken: Callable[[str], bool]) -> str:
    """The name of the study to open: the newest generation of `base`, or the first.

    `fresh` means a new one, but for the generation that it began and that has not ended: the same command goes on with
    it after an interruption. known: the attributes of the studies that there are, by name. taken: whether a name stands
    for an older study elsewhere, so that no new one may have it.
    """
    newest = max((_number(name, base) for name in known), default=0)
    name = f"{base}-{newest}"
    if newest and (not fresh or (known[name].get(FRESH) and not known[name].get(ENDED))):
        return name
    number = newest + 1
    while fresh and taken(f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def _number(name: str, base: str) -> int:
    """The generation of a study of `base`; 0 for another's."""
    stem, _, number = name.rpartition("-")
    return int(number) if stem == base and number.isdecimal() else 0
