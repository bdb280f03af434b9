"""The table of faults: what was injected, and what became of the search."""

from collections.abc import Callable, Iterator

import pytest
from faults import ROWS, Fault
from running import data_flags, plays, run, space

__all__ = ["data_flags", "fault", "plays", "run", "space"]


@pytest.fixture
def fault() -> Iterator[Callable[[str], Fault]]:
    """Names the fault of a test; its row is in the table however the test ends."""
    faults: list[Fault] = []

    def build(name: str) -> Fault:
        faults.append(Fault(name))
        return faults[-1]

    yield build
    ROWS.extend((f.name, f.times, f.times if f.survived else 0, f.lost, f.duplicated) for f in faults)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ROWS:
        return
    terminalreporter.section("chaos")
    form = "{:<52} {:>8} {:>8} {:>5} {:>10}".format
    terminalreporter.write_line(form("fault", "injected", "survived", "lost", "duplicated"))
    for row in ROWS:
        terminalreporter.write_line(form(*row))
