"""Read a search space file and hold it against the model's Config, before anything starts.

Every mistake is reported as `file:line: field: what is wrong`.
"""

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from unblur.errors import UserError, unknown
from unblur.models.base import ModelConfig
from unblur.search.space import Choice, FloatRange, IntRange, SearchSpace, encode

__all__ = ["SearchSpace", "load_space"]

MAX_BYTES, MAX_DEPTH = 64 * 1024, 8
RANDOM_DRAWS = 200


class _Loader(yaml.SafeLoader):
    """Safe loading, with numbers like 1e-3 read as numbers: YAML 1.1 takes them for text."""


def _bounded_int(loader: _Loader, node: yaml.ScalarNode) -> Any:
    value = loader.construct_yaml_int(node)
    if abs(value) > 2**53:
        raise yaml.constructor.ConstructorError(None, None, "the number is too large", node.start_mark)
    return value


_FLOAT = re.compile(r"^[-+]?\d+[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", _bounded_int)


class _File:
    """A parsed YAML file that knows the line of each of its keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UserError(f"{path}: a search space file has at most {MAX_BYTES // 1024} KiB")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"{path}: cannot read the search space: {why}") from error
        try:
            self._refuse_hostile(text)
            self.root = yaml.compose(text, _Loader)
            self.content: Any = yaml.load(text, _Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UserError(f"{path}:{line}: not valid YAML: {error.problem}") from error
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{path}: not valid YAML: {error}") from error
        self._refuse_duplicates(self.root)

    def _refuse_hostile(self, text: str) -> None:
        """Aliases can stand for exponentially much, and deep nesting exhausts the stack: both are refused."""
        depth = 0
        for event in yaml.parse(text, _Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                what = "aliases are" if depth <= MAX_DEPTH else f"nesting deeper than {MAX_DEPTH} is"
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise UserError(f"{self.path}:{line}: {what} not allowed in a search space")

    def _refuse_duplicates(self, node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    raise UserError(f"{self.path}:{key.start_mark.line + 1}: {key.value!r} is given twice")
                seen.add(str(key.value))
                self._refuse_duplicates(value)
        elif isinstance(node, yaml.SequenceNode):
            for child in node.value:
                self._refuse_duplicates(child)

    def _line(self, where: Sequence[str | int]) -> int:
        node, line = self.root, 1
        for part in where:
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        node, line = value, key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line

    def message(self, where: Sequence[str | int], text: str) -> str:
        return f"{self.path}:{self._line(where)}: {'.'.join(map(str, where)) or 'file'}: {text}"

    def error(self, where: Sequence[str | int], text: str) -> UserError:
        return UserError(self.message(where, text))


def load_space(path: Path, config_class: type[ModelConfig]) -> SearchSpace:
    """The search space in `path`, sure to yield only configurations that `config_class` accepts.

    Raises UserError, with file, line and field, for anything that is not so: an unknown key or parameter, an empty
    or reversed range, a condition that cannot hold, a combination that the Config refuses.
    """
    file = _File(path)
    try:
        space = SearchSpace.model_validate(file.content)
    except ValidationError as error:
        raise UserError("\n".join(_explain(file, problem) for problem in error.errors())) from None
    _check_names(file, space, config_class)
    _check_stages(file, space, config_class)
    _check_conditions(file, space)
    _check_enqueued(file, space, config_class)
    for forced in _corners(space):
        _try(file, space, config_class, forced, random.Random(0), ["parameters"])
    rng = random.Random(0)
    for _ in range(RANDOM_DRAWS):
        _try(file, space, config_class, {}, rng, ["parameters"])
    return space


def _explain(file: _File, problem: Any) -> str:
    kinds: dict[Any, type[BaseModel]] = {"float": FloatRange, "int": IntRange, "choice": Choice}
    tag = next((part for part in problem["loc"][2:3] if part in kinds), None)
    where = [part for i, part in enumerate(problem["loc"]) if not (i == 2 and part == tag)]
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = (kinds[tag] if tag else SearchSpace).model_fields
        text = str(unknown("key", str(where[-1]), known))
    return file.message(where, text)


def _check_names(file: _File, space: SearchSpace, config_class: type[BaseModel]) -> None:
    for section in ("parameters", "fixed"):
        for name in getattr(space, section):
            if name not in config_class.model_fields:
                raise file.error([section, name], str(unknown("parameter", name, config_class.model_fields)))
    for name in space.fixed.keys() & space.parameters.keys():
        raise file.error(["fixed", name], "is also under `parameters`; give it in one place")


def _check_stages(file: _File, space: SearchSpace, config_class: type[ModelConfig]) -> None:
    for name, parameter in space.parameters.items():
        if parameter.stage == "inference" and name not in config_class.INFERENCE:
            known = ", ".join(sorted(config_class.INFERENCE)) or "none of this model's parameters"
            raise file.error(["parameters", name, "stage"], f"inference: {name} changes training; {known} can be swept")


def _check_conditions(file: _File, space: SearchSpace) -> None:
    above: set[str] = set()
    for name, parameter in space.parameters.items():
        for other, value in parameter.when.items():
            where = ["parameters", name, "when", other]
            if other not in space.parameters:
                raise file.error(where, str(unknown("parameter", other, space.parameters)))
            if other not in above:
                raise file.error(where, f"a condition may only name parameters above {name!r}; move {other!r} up")
            for wanted in space.allowed(other, value) or [None]:
                if not space.parameters[other].contains(wanted):
                    raise file.error(where, f"{other} can never be {wanted!r}")
        above.add(name)


def _check_enqueued(file: _File, space: SearchSpace, config_class: type[BaseModel]) -> None:
    for i, entry in enumerate(space.enqueue):
        for name, value in entry.items():
            if name not in space.parameters:
                raise file.error(["enqueue", i, name], str(unknown("parameter", name, space.parameters)))
            if not space.parameters[name].contains(value):
                raise file.error(["enqueue", i, name], f"{value!r} lies outside the parameter's values")
        rng = random.Random(0)
        for _ in range(20):
            params = _try(file, space, config_class, entry, rng, ["enqueue", i])
            for name in entry.keys() - params.keys():
                raise file.error(["enqueue", i, name], "its `when` does not hold for the rest of this entry")


def _corners(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """The extremes of every two parameters, and of every two ranges for each value of each choice."""
    choices: list[dict[str, Any]] = [
        {name: value} for name, p in space.parameters.items() if isinstance(p, Choice) for value in p.values
    ]
    for (first, a), (second, b) in itertools.combinations(space.parameters.items(), 2):
        ranges = not isinstance(a, Choice) and not isinstance(b, Choice)
        for x, y in itertools.product(a.corners, b.corners):
            for choice in choices if ranges and choices else [{}]:
                yield _activated(space, {**choice, first: x, second: y})


def _activated(space: SearchSpace, forced: dict[str, Any]) -> dict[str, Any]:
    """`forced` with values for the conditions that its parameters depend on."""
    for name in reversed(space.parameters):
        if name in forced:
            for other, value in space.parameters[name].when.items():
                forced.setdefault(other, space.allowed(other, value)[0])
    return forced


def _try(
    file: _File,
    space: SearchSpace,
    config_class: type[BaseModel],
    forced: dict[str, Any],
    rng: random.Random,
    where: list[str | int],
) -> dict[str, Any]:
    """Build the Config of one draw in which `forced` holds and the rest is random."""
    params = space.assemble(lambda name, p: forced[name] if name in forced else p.sample(rng))
    try:
        config_class.model_validate(params)
    except ValidationError as error:
        problem = error.errors()[0]
        field = where
        if where == ["parameters"] and (name := str(next(iter(problem["loc"]), ""))):
            field = ["fixed" if name in space.fixed else "parameters", name]
        shown = ", ".join(f"{name}={encode(value)}" for name, value in params.items())
        reason = problem["msg"].removeprefix("Value error, ")
        raise file.error(field, f"the model's Config refuses a combination: {reason} ({shown})") from None
    return params
