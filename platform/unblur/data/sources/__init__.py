"""One module per raw format, found by its file name.

A source is a module with two functions:

    load(files: Sequence[Path], request: DataRequest) -> Interactions
        reads the raw files of one dataset, in the order in which its preset names them; raises UserError, and nothing
        else, for anything wrong with them, naming file, line, what was found and what would be right;
    example(folder: Path) -> Sequence[Path]
        writes the smallest well-formed files of this format into `folder` and returns what `load` takes: the format's
        definition by example, on which the contract tests run.

and, where equal times are in the order of the file, `TIES = "file"`; else a seeded hash decides between them.

Modules whose name starts with an underscore are not sources.
"""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from unblur.data.interactions import Interactions
from unblur.data.request import DataRequest
from unblur.errors import unknown


class Source(Protocol):
    """What a module in this package offers."""

    def load(self, files: Sequence[Path], request: DataRequest) -> Interactions: ...

    def example(self, folder: Path) -> Sequence[Path]: ...


def names() -> list[str]:
    """All sources there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def source(name: str) -> Source:
    """The source called `name`. Raises UserError for an unknown one."""
    if name not in names():
        raise unknown("source", name, names())
    return cast(Source, import_module(f"{__name__}.{name}"))
