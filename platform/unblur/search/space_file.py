"""Read a search space file and hold it against the model's Config, before anything starts.

Every mistake is reported as `file:line: field: what is wrong`.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from unblur.documents import Document, read
from unblur.errors import unknown
from unblur.models.base import ModelConfig
from unblur.search.space import Choice, FloatRange, IntRange, SearchSpace, encode

__all__ = ["SearchSpace", "load_space"]

RANDOM_DRAWS = 200


def load_space(path: Path, config_class: type[ModelConfig]) -> SearchSpace:
    """The search space in `path`, sure to yield only configurations that `config_class` accepts.

    Raises UserError, with file, line and field, for anything that is not so: an unknown key or parameter, an empty
    or reversed range, a condition that cannot hold, a combination that the Config refuses.
    """
    file = read(path)
    space = file.parse(SearchSpace, nested={"float": FloatRange, "int": IntRange, "choice": Choice})
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


def _check_names(file: Document, space: SearchSpace, config_class: type[BaseModel]) -> None:
    for section in ("parameters", "fixed"):
        for name in getattr(space, section):
            if name not in config_class.model_fields:
                raise file.error([section, name], str(unknown("parameter", name, config_class.model_fields)))
    for name in space.fixed.keys() & space.parameters.keys():
        raise file.error(["fixed", name], "is also under `parameters`; give it in one place")


def _check_stages(file: Document, space: SearchSpace, config_class: type[ModelConfig]) -> None:
    for name, parameter in space.parameters.items():
        if parameter.stage == "inference" and name not in config_class.INFERENCE:
            known = ", ".join(sorted(config_class.INFERENCE)) or "none of this model's parameters"
            raise file.error(["parameters", name, "stage"], f"inference: {name} changes training; {known} can be swept")


def _check_conditions(file: Document, space: SearchSpace) -> None:
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


def _check_enqueued(file: Document, space: SearchSpace, config_class: type[BaseModel]) -> None:
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
    """The extremes of every two parameters, and of every two ranges beside each value of each choice."""
    for (first, a), (second, b) in itertools.combinations(space.parameters.items(), 2):
        ranges = not isinstance(a, Choice) and not isinstance(b, Choice)
        for x, y in itertools.product(a.corners, b.corners):
            for beside in _all_choices(space) if ranges else [{}]:
                yield {**beside, **_activated(space, {first: x, second: y})}


def _all_choices(space: SearchSpace) -> list[dict[str, Any]]:
    """Values for all choices at once, as often as it takes for each value of each to come up."""
    choices = {name: p.values for name, p in space.parameters.items() if isinstance(p, Choice)}
    rounds = max(map(len, choices.values()), default=1)
    return [{name: values[i % len(values)] for name, values in choices.items()} for i in range(rounds)]


def _activated(space: SearchSpace, forced: dict[str, Any]) -> dict[str, Any]:
    """`forced` with values for the conditions that its parameters depend on."""
    for name in reversed(space.parameters):
        if name in forced:
            for other, value in space.parameters[name].when.items():
                forced.setdefault(other, space.allowed(other, value)[0])
    return forced


def _try(
    file: Document,
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
