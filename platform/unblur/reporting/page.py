"""The report as one HTML file that needs nothing else, and as Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unblur.reporting.figure import Plot
from unblur.reporting.tables import Table
from unblur.reporting.template import rendered

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Section:
    """A part of the report: text, tables and figures; `folded` ones open on a click."""

    title: str
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    folded: bool = False

    @property
    def filled(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.plots or self.every_table)

    @property
    def every_table(self) -> list[Table]:
        """Those that have rows, the numbers behind its figures included."""
        behind = [plot.table for plot in self.plots if plot.table]
        return [table for table in [*self.tables, *behind] if table.rows]


@dataclass(frozen=True)
class Report:
    """What the report says, before it is HTML or Markdown."""

    title: str
    subtitle: str
    verdict: Sequence[str]
    reservations: Sequence[str]
    sections: Sequence[Section]


def to_html(report: Report) -> str:
    """The page, one file that opens offline."""
    plots = [plot for section in report.sections for plot in section.plots]
    return rendered(TEMPLATE, plots, title=report.title, subtitle=report.subtitle, report=report)


def to_markdown(report: Report) -> str:
    """Title, verdict and tables; figures are the HTML's."""
    lines = [f"# {_cell(report.title)}", "", _cell(report.subtitle), "", *(_cell(each) for each in report.verdict), ""]
    lines += [f"- {_cell(each)}" for each in report.reservations]
    for section in report.sections:
        tables = [table for table in section.tables if table.rows and not table.folded]
        if tables:
            lines += ["", f"## {_cell(section.title)}"]
        for table in tables:
            lines += ["", *_markdown(table, titled=len(tables) > 1)]
    return "\n".join(lines) + "\n"


def _markdown(table: Table, titled: bool) -> list[str]:
    title = [f"### {_cell(table.title)}", ""] if titled else []
    head = [_row(map(_cell, table.columns)), _row("---" for _ in table.columns)]
    rows = [_row(_code(cell) if i in table.code else _cell(cell) for i, cell in enumerate(row)) for row in table.rows]
    note = ["", _cell(table.note)] if table.note else []
    return [*title, *head, *rows, *note]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Text to copy; a backtick in it would end it."""
    return f"`{' '.join(text.split())}`".replace("|", "\\|") if "`" not in text else _cell(text)


def _cell(text: str) -> str:
    """Text that is neither markup nor the end of a cell."""
    return re.sub(r"([\\`*|\[\]<>#])", r"\\\1", " ".join(text.split()))
