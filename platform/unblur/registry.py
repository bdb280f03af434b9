"""Registries: parts found by their name, in the modules of a package or among the functions of a module.

Adding a part is adding a file or a function; there is no list to edit. A name that begins with an underscore is a
helper. An installed package can add parts of its own through the entry-point group that is the package's dotted name
(`[project.entry-points."unblur.denoisers"]`, `film = "my_package.film"`).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import getdoc, getmembers, isfunction, signature
from pathlib import Path
from pkgutil import ModuleInfo, iter_modules
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import AfterValidator

from unblur.errors import unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Parts of one kind by name. Nothing is imported before a part is asked for."""

    def __init__(self, kind: str, group: str, find: Callable[[], Mapping[str, Callable[[], T]]]) -> None:
        """kind: the word for a part in messages. group: the entry points that add to it. find: a loader by name."""
        self.kind, self.group, self._find = kind, group, find
        self._seen: dict[str, Callable[[], T]] = {}  # a part that was found stays; a new one is looked for

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted(self._loaders())

    def __contains__(self, name: str) -> bool:
        return name in self._seen or name in self._loaders()

    def get(self, name: str) -> T:
        """The part of that name; UserError, with the nearest name, when there is none."""
        if name not in self:
            raise unknown(self.kind, name, self.names())
        return self._seen[name]()

    def summary(self, name: str) -> str:
        """The first line of the part's docstring."""
        return (getdoc(self.get(name)) or "").partition("\n")[0]

    def described(self) -> list[str]:
        """Every name with the first line of its docstring."""
        return [f"{name}: {self.summary(name).rstrip('.')}" for name in self.names()]

    def _loaders(self) -> dict[str, Callable[[], T]]:
        self._seen = {**{point.name: point.load for point in _installed(self.group)}, **self._find()}
        return self._seen


def modules(kind: str, package: str) -> Registry[Any]:
    """The modules in `package` and its subpackages, by the last part of their name.

    A package that has subpackages (families) keeps shared code at its top: only modules inside the families are parts.
    """

    def find() -> Mapping[str, Callable[[], ModuleType]]:
        found = list(_walk(find_spec(package), f"{package}."))
        depth = package.count(".") + 1 + any(module.ispkg for module in found)
        parts = [module.name for module in found if not module.ispkg and module.name.count(".") == depth]
        named = {name.rpartition(".")[2]: name for name in parts}
        return {short: _importer(name) for short, name in named.items() if not short.startswith("_")}

    return Registry(kind, package, find)


def functions(kind: str, module: str) -> Registry[Callable[..., Any]]:
    """The public functions that `module` defines."""

    def find() -> Mapping[str, Callable[[], Callable[..., Any]]]:
        found = getmembers(import_module(module), isfunction)
        own = {name: f for name, f in found if f.__module__ == module and not name.startswith("_")}
        return {name: _constant(function) for name, function in own.items()}

    return Registry(kind, module, find)


def known(registry: Registry[Any]) -> AfterValidator:
    """For `Annotated[str, known(schedules)]`: a Config field that holds a registered name."""

    def check(name: str | None) -> str | None:
        if name is not None and name not in registry:
            raise ValueError(str(unknown(registry.kind, name, registry.names())))
        return name

    return AfterValidator(check)


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a part has a parameter of that name."""
    return name in signature(function).parameters


def default_of(function: Callable[..., Any], name: str) -> Any:
    """What a part takes for its parameter of that name where nothing is offered."""
    return signature(function).parameters[name].default


def call(function: Callable[..., T], **offered: Any) -> T:
    """Call a part with those of the offered values that it has parameters for; parts of one kind differ in these."""
    return function(**{name: value for name, value in offered.items() if takes(function, name)})


def _walk(spec: Any, prefix: str) -> Iterator[ModuleInfo]:
    """The modules of a package and its subpackages. Unlike pkgutil's walk_packages it imports none of them."""
    for folder in spec.submodule_search_locations:
        for module in iter_modules([folder], prefix):
            yield module
            if module.ispkg:
                below = ModuleSpec(module.name, None, is_package=True)
                below.submodule_search_locations = [str(Path(folder) / module.name.rpartition(".")[2])]
                yield from _walk(below, f"{module.name}.")


def _importer(name: str) -> Callable[[], ModuleType]:
    return cache(lambda: import_module(name))  # a search space of many choices asks ten thousand times


def _constant(value: T) -> Callable[[], T]:
    return lambda: value


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))
