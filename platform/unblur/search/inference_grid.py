"""The sweep over inference: guidance scale, T' and the like change scoring alone, so a search need not draw them."""

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from unblur import models
from unblur.search.space import Choice, IntRange, Parameter, SearchSpace

POINTS = 5
"""Values of a range that are tried, both ends among them."""


def without_swept(space: SearchSpace) -> tuple[SearchSpace, dict[str, Parameter]]:
    """The space that is left to the search, and the parameters of inference that are swept instead.

    A parameter that another one depends on is drawn: the other could not be otherwise.
    """
    needed = {name for parameter in space.parameters.values() for name in parameter.when}
    swept = {n: p for n, p in space.parameters.items() if p.stage == "inference" and n not in needed}
    rest = {name: parameter for name, parameter in space.parameters.items() if name not in swept}
    enqueue = [{name: value for name, value in entry.items() if name not in swept} for entry in space.enqueue]
    distinct = [entry for i, entry in enumerate(enqueue) if entry not in enqueue[:i]]
    return space.model_copy(update={"parameters": rest, "enqueue": distinct}), swept


def grid(model: str, swept: Mapping[str, Parameter], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the swept parameters' points that goes with the drawn `params`; none if nothing is swept.

    A parameter whose condition (`when`) does not hold, and a combination that the model's Config refuses, is left out.
    """
    combinations: list[dict[str, Any]] = [{}]
    for name, parameter in swept.items():
        if all(_holds(params.get(other), wanted) for other, wanted in parameter.when.items()):
            combinations = [{**each, name: value} for each in combinations for value in points(parameter)]
    return [each for each in combinations if each and _accepted(model, {**params, **each})]


def points(parameter: Parameter) -> list[Any]:
    """All values of a choice; of a range POINTS of them, evenly spread on its scale."""
    if isinstance(parameter, Choice):
        return parameter.values
    low, high = parameter.low, parameter.high
    shares = [place / (POINTS - 1) for place in range(POINTS)]
    if parameter.log:
        values = [low ** (1 - share) * high**share for share in shares]
    else:
        values = [low + share * (high - low) for share in shares]
    if parameter.step is not None:
        values = [low + parameter.step * round((value - low) / parameter.step) for value in values]
    if isinstance(parameter, IntRange):
        values = [round(value) for value in values]
    return sorted({min(max(value, low), high) for value in values})


def settings_of(swept: Mapping[str, Parameter]) -> int:
    """How many combinations there are at most."""
    return math.prod(len(points(parameter)) for parameter in swept.values()) if swept else 0


def written(settings: Mapping[str, Any]) -> str:
    """Names and values on one line."""
    return " ".join(f"{name}={json.dumps(value)}".replace(" ", "") for name, value in settings.items())


def _holds(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) or (isinstance(wanted, list) and value in wanted)


def _accepted(model: str, params: dict[str, Any]) -> bool:
    try:
        models.config_class(model).model_validate(params)
    except ValidationError:
        return False
    return True
