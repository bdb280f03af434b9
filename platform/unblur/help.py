"""`--help` of a command: what it does, examples to paste, and its flags in groups, each with what it takes."""

import re
from collections.abc import Iterator
from enum import Enum
from inspect import get_annotations
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from pydantic.fields import FieldInfo
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from unblur.options import Listed, Options, Topic, flag

ASKED = frozenset({"-h", "--help"})
WORDS = {int: "INT", float: "NUMBER", str: "TEXT", bool: "", Path: "PATH"}
"""What a value of a type is called; of others, by the type's name."""
POSITIONAL = get_args(tyro.conf.Positional[str])[1]
EXAMPLES = "Examples:"


def page(options: type[Options], program: str, told: str) -> RenderableType:
    """The whole text; `told` is the docstring of the command, whose `Examples:` come last in it."""
    about, _, examples = told.partition(EXAMPLES)
    described = {topic: _table() for topic in Topic}
    words = ["[FLAGS]"]
    for name, field, topic in flags(options):
        positional = POSITIONAL in field.metadata
        if positional:
            words.insert(0, name.upper())
        left = name.upper() if positional else f"{flag(name)} {takes(field)}".rstrip()
        described[topic].add_row(Text(left, style="bold"), Text(meaning(field)))
    parts: list[RenderableType] = [Text(f"usage: {program} {' '.join(words)}"), Text(_unwrapped(about))]
    if examples:
        parts += [Text("examples"), _indented(Text("\n".join(command_lines(told)), overflow="fold"))]
    for topic, table in described.items():
        parts += [Text(topic.value), _indented(table)] if table.row_count else []
    return Group(*(line for part in parts for line in ([part] if isinstance(part, Padding) else ["", part])))


def command_lines(told: str) -> list[str]:
    """The commands among the examples of a docstring."""
    return [line.strip() for line in told.partition(EXAMPLES)[2].splitlines() if line.strip()]


def flags(options: type[Options]) -> Iterator[tuple[str, FieldInfo, Topic]]:
    """Every flag with its group: that of the class that declares it, the most special one where several do."""
    for name, field in options.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            yield from flags(field.annotation)
        else:
            declares = next(each for each in options.__mro__ if name in get_annotations(each))
            yield name, field, declares.topic  # type: ignore[attr-defined]


def takes(field: FieldInfo) -> str:
    """What a field takes, in a word: INT, PATH, {on,off}; nothing for a switch."""
    return "|".join(dict.fromkeys(_words(field.annotation)))


def _words(annotation: Any) -> Iterator[str]:
    if annotation is NoneType:
        return
    if get_origin(annotation) is Annotated:
        yield from _words(get_args(annotation)[0])
    elif get_origin(annotation) is Literal:
        choices = [str(each) for each in get_args(annotation)]
        yield f"{{{','.join(choices)}}}" if len(choices) > 1 else choices[0]
    elif isinstance(annotation, type) and get_origin(annotation) is None:
        yield WORDS.get(annotation, annotation.__name__)
    else:  # a union, or a list, of which each value is given by itself
        for each in get_args(annotation):
            yield from _words(each)


def meaning(field: FieldInfo) -> str:
    """A field's docstring in one line, with its default in brackets and the names that are known."""
    text = _unwrapped(field.description or "")
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        text += " (must be given)"
    elif default not in (None, False, []) and not text.rstrip(".").endswith("]"):
        text += f" [{default.value if isinstance(default, Enum) else default}]"
    listed = [each for each in field.metadata if isinstance(each, Listed)]
    return text + "".join(_known(list(each.names())) for each in listed)


def _known(names: list[str]) -> str:
    """Bare names in one row; names with what they mean, a line each."""
    if any(": " in name for name in names):
        return "".join(f"\n- {name}" for name in names)
    return f"\nknown: {', '.join(names)}"


def _unwrapped(text: str) -> str:
    """A docstring's paragraphs, each in one line."""
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", part.strip()) for part in re.split(r"\n\s*\n", text.strip()))


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2), expand=False)


def _table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(max_width=34, overflow="fold")
    table.add_column(overflow="fold")
    return table
