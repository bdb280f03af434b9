"""Composition by name: a Config that chooses parts holds the flat union of their parameters.

A part is a module with a `Config` (a PartConfig) beside its class, in a registry. A field `Annotated[str,
Part(registry)]` chooses one; `@composed` adds the parameters of every part that can be chosen, of which those of the
parts that are not chosen are refused. Parameters of the same name are the same parameter, and must be declared alike.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from unblur.errors import unknown
from unblur.registry import Registry

C = TypeVar("C", bound=BaseModel)
ORDER, RATINGS = "order", "ratings"
BEST = "best"
"""For the parameters of a model in a model: those that the model's own search on the same data has found."""


@dataclass(frozen=True)
class Needs:
    """Metadata of a Config field that only data with `what` can serve, but for its neutral value."""

    what: str
    """ORDER: an order in time. RATINGS: ratings too low for a hit."""
    neutral: float | str
    """The value that turns the parameter off."""


class PartConfig(BaseModel):
    """Base of a part's own parameters: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    INFERENCE: ClassVar[frozenset[str]] = frozenset()
    """The fields that change scoring alone."""
    NEEDS: ClassVar[frozenset[str]] = frozenset()
    """What the data must have for the part to work at all (ORDER, RATINGS)."""


@dataclass(frozen=True)
class Part:
    """Metadata of a `str` field that chooses a module of a registry."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def _known(self, name: str) -> str:
        if name not in self.registry:
            raise ValueError(str(unknown(self.registry.kind, name, self.registry.names())))
        return name


class ComposedConfig(BaseModel):
    """Mixin of a Config that chooses parts: what belongs to a part that is not chosen is refused, and not dumped."""

    OWNERS: ClassVar[Mapping[str, Mapping[str, frozenset[str]]]] = {}
    """Of each parameter of parts: the choosing fields, and the choices that have the parameter."""

    def parameters(self) -> frozenset[str]:
        """The fields that mean something with the parts that are chosen."""
        cls = type(self)
        return _parameters(cls, tuple((field, getattr(self, field)) for field in _choosing(cls)))

    def part(self, field: str) -> Any:
        """The module of the part that `field` chooses."""
        return _part(type(self), field).registry.get(getattr(self, field))

    def of(self, config_class: type[C]) -> C:
        """A part's own parameters."""
        return config_class(**{name: getattr(self, name) for name in config_class.model_fields})

    @classmethod
    def needs_of_choices(cls) -> dict[tuple[str, str], frozenset[str]]:
        """What the data must have, of each choosing field and choice."""
        return {(field, choice): config.NEEDS for field, choice, config in _choices(cls)}

    @model_validator(mode="after")
    def _only_of_chosen_parts(self) -> Self:
        if wrong := sorted(self.model_fields_set - self.parameters()):
            told = (f"{name} needs {_alternatives(self.OWNERS[name])}" for name in wrong)
            raise ValueError(f"{'; '.join(told)}; chosen: {self._chosen(wrong)}")
        for field in _choosing(type(self)):
            self.of(self.part(field).Config)  # its own cross-checks
        return self

    def _chosen(self, names: list[str]) -> str:
        fields = dict.fromkeys(field for name in names for field in self.OWNERS[name])
        return ", ".join(f"{field} = {getattr(self, field)}" for field in fields)

    @model_serializer(mode="wrap")
    def _without_other_parts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        kept = self.parameters()
        return {name: value for name, value in handler(self).items() if name in kept}


def composed(cls: type[C]) -> type[C]:
    """The Config `cls` with the parameters of every part that its fields can choose."""
    fields: dict[str, FieldInfo] = {}
    owners: dict[str, dict[str, frozenset[str]]] = {}
    inference = set(getattr(cls, "INFERENCE", ()))
    for choosing, choice, config in _choices(cls):
        inference |= config.INFERENCE
        for name, field in config.model_fields.items():
            if name in cls.model_fields:
                continue  # the composition's own
            if _declaration(fields.setdefault(name, field)) != _declaration(field):
                raise TypeError(f"{choosing} = {choice} declares {name} otherwise than another part")
            own = owners.setdefault(name, {})
            own[choosing] = own.get(choosing, frozenset()) | {choice}
    made = _with_fields(cls, {name: (field, field.default) for name, field in fields.items()})
    made.OWNERS, made.INFERENCE = owners, frozenset(inference)  # type: ignore[attr-defined]
    return made


def defaults(**values: Any) -> Callable[[type[C]], type[C]]:
    """A class decorator: the Config with other defaults, as a recipe has them."""

    def change(cls: type[C]) -> type[C]:
        return _with_fields(cls, {name: (cls.model_fields[name], value) for name, value in values.items()})

    return change


@cache
def _parameters(cls: type[ComposedConfig], chosen: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The fields of `cls` that mean something with these choices."""

    def owned(name: str) -> bool:
        return any(choice in cls.OWNERS[name].get(field, ()) for field, choice in chosen)

    return frozenset(name for name in cls.model_fields if name not in cls.OWNERS or owned(name))


def _with_fields(cls: type[C], fields: Mapping[str, tuple[FieldInfo, Any]]) -> type[C]:
    declared: dict[str, Any] = {
        name: (Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation, default)
        for name, (field, default) in fields.items()
    }
    return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, __doc__=cls.__doc__, **declared)


def _choices(cls: type[BaseModel]) -> Iterator[tuple[str, str, type[PartConfig]]]:
    """Each choosing field with each of its choices and that part's Config."""
    for field in _choosing(cls):
        registry = _part(cls, field).registry
        for name in registry.names():
            yield field, name, registry.get(name).Config


@cache
def _choosing(cls: type[BaseModel]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if any(isinstance(m, Part) for m in field.metadata)]


@cache
def _part(cls: type[BaseModel], field: str) -> Part:
    return next(each for each in cls.model_fields[field].metadata if isinstance(each, Part))


def _declaration(field: FieldInfo) -> tuple[Any, ...]:
    return field.annotation, field.metadata, field.default


def _alternatives(owners: Mapping[str, frozenset[str]]) -> str:
    return " or ".join(f"{field} = {' or '.join(sorted(choices))}" for field, choices in owners.items())
