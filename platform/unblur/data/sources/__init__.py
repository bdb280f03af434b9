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

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from unblur.data.interactions import Interactions
from unblur.data.request import DataRequest
from unblur.registry import Registry, modules


class Source(Protocol):
    """What a module in this package offers."""

    def load(self, files: Sequence[Path], request: DataRequest) -> Interactions: ...

    def example(self, folder: Path) -> Sequence[Path]: ...


SOURCES: Registry[Source] = modules("source", __name__)


def names() -> list[str]:
    """All sources there are."""
    return SOURCES.names()


def source(name: str) -> Source:
    """The source called `name`. Raises UserError for an unknown one."""
    return SOURCES.get(name)
