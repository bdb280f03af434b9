"""The table of faults: what was injected, and what became of the search."""

from collections.abc import Callable, Generator, Iterator

import pytest
from tests.helpers.faults import ROWS, Fault
from tests.helpers.jobs import data_flags, plays, run, space

__all__ = ["data_flags", "fault", "plays", "run", "space"]


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Fault]]:
    """Names the fault of a test; its row is in the table however the test ends, as survived only if it passes."""
    faults: list[Fault] = []

    def build(name: str) -> Fault:
        faults.append(Fault(name))
        return faults[-1]

    yield build
    failed = request.node.stash.get(FAILED, False)
    ROWS.extend((f.name, f.times, f.times if f.survived and not failed else 0, f.lost, f.duplicated) for f in faults)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ROWS:
        return
    terminalreporter.section("chaos")
    form = "{:<52} {:>8} {:>8} {:>5} {:>10}".format
    terminalreporter.write_line(form("fault", "injected", "survived", "lost", "duplicated"))
    for row in ROWS:
        terminalreporter.write_line(form(*row))
