"""Search spaces: what a YAML file may say, and how an Optuna trial draws one configuration from it.

The file names parameters of a model's Config in the order in which they are drawn; a parameter may depend on ones
above it (`when`), so a dependency cannot be circular. `space.load_space` reads and checks such a file.
"""

import json
import math
import random
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictInt, field_validator, model_validator


class _Parameter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    when: dict[str, Any] = {}
    """Drawn only if each named parameter has this value, or one of this list of values."""
    stage: Literal["training", "inference"] = "training"
    """An `inference` parameter changes scoring only: it can be swept on one trained network."""

    def encode(self, value: Any) -> Any:
        """The value as Optuna stores it."""
        return encode(value)

    def decode(self, stored: Any) -> Any:
        """The value that Optuna's record stands for."""
        return stored


class _Range(_Parameter):
    """What float and int ranges share; both bounds are inclusive."""

    def _check(self, low: float, high: float, log: bool, step: float | None) -> None:
        if low > high:
            raise ValueError(f"the bounds are the wrong way round: low {low:g} is above high {high:g}")
        if low == high:
            raise ValueError(f"the range is empty: low and high are both {low:g}; put a constant under `fixed`")
        if log and low <= 0:
            raise ValueError(f"a log scale needs low above 0, not {low:g}")
        if log and step is not None:
            raise ValueError("`log` and `step` exclude each other")
        if step is not None and (step <= 0 or (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step))):
            raise ValueError(f"high {high:g} is not low {low:g} plus whole steps of {step:g}")


class FloatRange(_Range):
    type: Literal["float"]
    low: FiniteFloat
    high: FiniteFloat
    log: bool = False
    step: FiniteFloat | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        self._check(self.low, self.high, self.log, self.step)
        return self

    @property
    def corners(self) -> list[Any]:
        return [self.low, self.high]

    def contains(self, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)

    def sample(self, rng: random.Random) -> float:
        if self.step is not None:
            return self.low + self.step * rng.randint(0, round((self.high - self.low) / self.step))
        if not self.log:
            return rng.uniform(self.low, self.high)
        return min(max(math.exp(rng.uniform(math.log(self.low), math.log(self.high))), self.low), self.high)


class IntRange(_Range):
    type: Literal["int"]
    low: StrictInt
    high: StrictInt
    log: bool = False
    step: StrictInt | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        self._check(self.low, self.high, self.log, self.step)
        return self

    @property
    def corners(self) -> list[Any]:
        return [self.low, self.high]

    def contains(self, value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % (self.step or 1) == 0

    def suggest(self, trial: optuna.Trial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step or 1)

    def sample(self, rng: random.Random) -> int:
        return rng.randrange(self.low, self.high + 1, self.step or 1)


def encode(value: Any) -> Any:
    """A choice as Optuna stores it: a list (`dims: [200, 600]`) becomes its JSON text."""
    return json.dumps(value) if isinstance(value, list) else value


class Choice(_Parameter):
    type: Literal["choice"]
    values: list[Any] = Field(min_length=1, max_length=32)

    @field_validator("values")
    @classmethod
    def _storable(cls, values: list[Any]) -> list[Any]:
        for value in values:
            for leaf in value if isinstance(value, list) else [value]:
                if not (leaf is None or isinstance(leaf, bool | int | float | str)):
                    raise ValueError(f"{leaf!r} is not a plain value or a list of plain values")
                if isinstance(leaf, float) and not math.isfinite(leaf):
                    raise ValueError(f"{leaf} is not a finite number")
        stored = [encode(value) for value in values]
        if any(value in stored[:i] for i, value in enumerate(stored)):
            raise ValueError("a value is given twice")
        return values

    @property
    def corners(self) -> list[Any]:
        return self.values

    def contains(self, value: Any) -> bool:
        return encode(value) in [encode(known) for known in self.values]

    def decode(self, stored: Any) -> Any:
        return next(value for value in self.values if encode(value) == stored)

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return self.decode(trial.suggest_categorical(name, [encode(value) for value in self.values]))

    def sample(self, rng: random.Random) -> Any:
        return rng.choice(self.values)


Parameter = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]


class SearchSpace(BaseModel):
    """A search space file's content: the order of `parameters` is the order of drawing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    parameters: dict[str, Parameter]
    fixed: dict[str, Any] = {}
    """Config fields with one value for the whole study; the rest keep Config's defaults."""
    enqueue: list[dict[str, Any]] = []
    """Configurations tried first; what an entry leaves open is sampled."""

    def assemble(self, pick: Callable[[str, FloatRange | IntRange | Choice], Any]) -> dict[str, Any]:
        """One configuration: the fixed values, then `pick`'s value for each parameter whose conditions hold."""
        params = dict(self.fixed)
        for name, parameter in self.parameters.items():
            conditions = parameter.when.items()
            if all(other in params and params[other] in self.allowed(other, value) for other, value in conditions):
                params[name] = pick(name, parameter)
        return params

    def fixing(self, constants: dict[str, Any]) -> Self:
        """The space with the parameters in `constants` that it has taken out and given these values."""
        fixed = {name: value for name, value in constants.items() if name in self.parameters}
        rest = {name: parameter for name, parameter in self.parameters.items() if name not in fixed}
        enqueue = [{name: value for name, value in entry.items() if name not in fixed} for entry in self.enqueue]
        distinct = [entry for i, entry in enumerate(enqueue) if entry not in enqueue[:i]]
        return self.model_copy(update={"parameters": rest, "fixed": {**self.fixed, **fixed}, "enqueue": distinct})

    def without(self, name: str, values: Collection[Any]) -> Self:
        """The space in which the choice `name` has none of these values, nor has what is tried first."""
        parameter = self.parameters[name]
        assert isinstance(parameter, Choice)
        rest = parameter.model_copy(update={"values": [v for v in parameter.values if v not in values]})
        enqueue = [entry for entry in self.enqueue if entry.get(name) not in values]
        return self.model_copy(update={"parameters": {**self.parameters, name: rest}, "enqueue": enqueue})

    def allowed(self, name: str, value: Any) -> list[Any]:
        """The values of parameter `name` that a condition `{name: value}` accepts."""
        return value if isinstance(value, list) and not self.parameters[name].contains(value) else [value]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Draw a configuration; it builds the model's Config as it is."""
        return self.assemble(lambda name, parameter: parameter.suggest(trial, name))

    def decode(self, stored: dict[str, Any]) -> dict[str, Any]:
        """The configuration that Optuna's record of a trial stands for."""
        known = {name: self.parameters[name].decode(value) for name, value in stored.items()}
        return {**self.fixed, **known}
