"""YAML documents (search spaces, ablations, rows of papers, configurations), with the line of every mistake.

The YAML is plain data of its version 1.2: text, numbers (1e-4 is one), true, false, null, lists and mappings. Aliases,
merge keys and tags are refused, and so are a key given twice, more than 64 KiB, and nesting deeper than 8: a document
can neither stand for more than it says nor make anything but values.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from unblur.errors import UserError, shorten, unknown
from unblur.resources import find

M = TypeVar("M", bound=BaseModel)
Where = Sequence[str | int]

MAX_BYTES, MAX_DEPTH, MAX_DIGITS = 64 * 1024, 8, 300
MAX_MESSAGES, MAX_TEXT = 10, 2000
"""How many mistakes are listed, and the characters of each."""


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that is not taken here."""


class _Loader(yaml.SafeLoader):
    """One pass from text to values; the refusals come before anything is built."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own habit
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(event, "aliases are not allowed: write it out")
        if event.tag not in (None, "!"):
            raise _refused(event, "tags (!) are not allowed")
        if event.anchor is not None:
            raise _refused(event, "anchors (&) are not allowed")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused(event, f"nesting deeper than {MAX_DEPTH} is not allowed")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(key, "a key must be a word or a number")
            name = self.construct_object(key, deep=deep)
            if name == "<<":
                raise _refused(key, "merge keys (<<) are not allowed: write it out")
            if name in built:
                raise _refused(key, f"{shorten(repr(name))} is given twice")
            built[name] = self.construct_object(value, deep=deep)
        return built


def _refused(at: Any, why: str) -> _Refused:
    return _Refused(problem=why, problem_mark=at.start_mark)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """JSON writes characters beyond 16 bits as two escapes, which YAML leaves apart."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _refused(node, "half of a character (a lone surrogate) is no text") from None


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    value = int(node.value) if len(node.value) <= MAX_DIGITS else 2**64
    if abs(value) > 2**53:
        raise _refused(node, "the number is too large")
    return value


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    if len(node.value) > MAX_DIGITS:
        raise _refused(node, "the number is too long")
    return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


class Document:
    """A parsed file that knows the line of each of its values. `content` is None, a scalar, a list or a dict."""

    def __init__(self, name: str, text: str) -> None:
        """name: what messages call it. UserError when the text is not a YAML document of the kind above."""
        self.name = name
        if len(text) > MAX_BYTES:
            raise UserError(f"{name}: has at most {MAX_BYTES // 1024} KiB, found more")
        try:
            loader = _Loader(text)
            self._root = loader.get_single_node()
            self.content: Any = loader.construct_document(self._root) if self._root else None
        except yaml.MarkedYAMLError as error:
            line = mark.line + 1 if (mark := error.problem_mark or error.context_mark) else 1
            kind = "" if isinstance(error, _Refused) else "not valid YAML: "
            raise UserError(f"{name}:{line}: {kind}{shorten(str(error.problem))}") from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise UserError(f"{name}:{line}: not valid YAML: {error.reason}") from None

    def error(self, where: Where, text: str) -> UserError:
        """The error at a place, such as ["parameters", "lr"]: `file:line: parameters.lr: text`."""
        return UserError(self.message(where, text))

    def mapping(self) -> dict[str, Any]:
        """The content; UserError when it is no mapping from words."""
        if not isinstance(self.content, dict):
            raise self.error([], f"found {type(self.content).__name__}, expected fields and their values")
        for name in self.content:
            if not isinstance(name, str):
                raise self.error([name], "found a number, expected the name of a field")
        return self.content

    def parse(self, kind: type[M], nested: Mapping[str, type[BaseModel]] | None = None, **given: Any) -> M:
        """The content and what is `given` as a `kind`; UserError lists what is wrong, each with its line.

        nested: models below `kind` by the tag that pydantic puts into their errors' places, for the known names.
        """
        content = self.mapping()
        for name in given.keys() & content.keys():
            raise self.error([name], "follows from the file's name; leave it out")
        return self.check(kind, {**content, **given}, nested=nested)

    def check(
        self,
        kind: type[M],
        values: Mapping[str, Any],
        below: Where = (),
        nested: Mapping[str, type[BaseModel]] | None = None,
        say: Callable[[Where, str], str] | None = None,
    ) -> M:
        """`values`, which lie `below` a place of the document, as a `kind`; UserError as in `parse`.

        say: what makes a message of a place and a text (`message` if not given).
        """
        try:
            return kind.model_validate(values)
        except ValidationError as error:
            problems = error.errors(include_url=False)
        texts = [
            (say or self.message)([*below, *p["loc"]], _explain(p, kind, nested or {})) for p in problems[:MAX_MESSAGES]
        ]
        more = [f"{self.name}: {len(problems) - MAX_MESSAGES} more"] if len(problems) > MAX_MESSAGES else []
        raise UserError("\n".join([*dict.fromkeys(texts), *more]))

    def message(self, where: Where, text: str) -> str:
        """`file:line: field: text`, of bounded length.

        Of a place count the parts that are written in the document, and the last, which may be missing: pydantic's
        places also hold the tags by which it tells kinds apart.
        """
        node, line, written = self._root, 1, list[str]()
        for position, part in enumerate(where):
            child = _child(node, part)
            node, line = child or (node, line)
            if child or position == len(where) - 1:
                written.append(str(part))
        place = f"{shorten('.'.join(written))}: " if written else ""
        return f"{self.name}:{line}: {place}{shorten(text, MAX_TEXT)}"


def _explain(problem: Any, kind: type[BaseModel], nested: Mapping[str, type[BaseModel]]) -> str:
    """Pydantic's word on one mistake, with what was found, or with the nearest name to an unknown one."""
    if problem["type"] == "extra_forbidden":
        *above, name = problem["loc"]
        inside = next((nested[part] for part in above if part in nested), kind)
        return str(unknown("field", str(name), inside.model_fields))
    if problem["type"] == "missing":
        return "is missing"
    text = problem["msg"].removeprefix("Value error, ")
    plain = problem["loc"] and not isinstance(problem["input"], dict | list)
    return f"{text} (found {shorten(repr(problem['input']))})" if plain else text


def _child(node: Any, part: str | int) -> tuple[Any, int] | None:
    """What lies below a node under a key or at an index, and its line."""
    if isinstance(node, yaml.MappingNode):
        return next(((value, key.start_mark.line + 1) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line + 1
    return None


def read(file: Path, name: str = "") -> Document:
    """The document in a file; UserError, with `name` (the file's path if not given), when there is none."""
    name = name or str(file)
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1).decode()
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}; name a file that you may read") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: is no text in UTF-8: {error.reason} at byte {error.start}; expected YAML") from None
    return Document(name, text)


def configured(kind: type[M], assignments: Sequence[str], file: Path | None) -> M:
    """A Config from the parameters in `file` and those of `assignments` (name=value), which win; the file is that of
    the working directory, or else the package's.

    UserError names the line of the file, or the --set, that is wrong.
    """
    document = Document("--set", "{}") if file is None else read(find(file), f"--config {file}")
    given = dict(_assigned(text) for text in assignments)

    def say(where: Where, text: str) -> str:
        if where and (where[0] in given or file is None):
            return f"--set {shorten(str(where[0]))}: {shorten(text, MAX_TEXT)}"
        return document.message(where, text)

    return document.check(kind, {**document.mapping(), **given}, say=say)


def _assigned(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"--set {shorten(text)}: expected name=value, such as lr=1e-3 or dims=[200,600]")
    try:
        return name.strip(), Document("--set", value).content
    except UserError:
        known = "numbers, true, false, words and [lists] are"
        raise UserError(f"--set {shorten(text)}: {shorten(repr(value))} is no value: {known}") from None
