"""A report that was made: what it says, and its files."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from unblur.files import write_output
from unblur.reporting.page import Report, to_html, to_markdown
from unblur.reporting.svg import write_figures
from unblur.reporting.table_files import frame, named, write_tables


@dataclass(frozen=True)
class Result:
    """What all reports of studies have in common."""

    page: Report

    @property
    def verdict(self) -> list[str]:
        """What was found, by how much, and how sure that is: a sentence each."""
        return list(self.page.verdict)

    @property
    def reservations(self) -> list[str]:
        """What speaks against the verdict: a sentence each."""
        return list(self.page.reservations)

    def figures(self) -> dict[str, Figure]:
        """All figures of the page, by name: forest, cost, parameters, ranks, ... `.savefig("forest.pdf")` saves one."""
        return {plot.id: plot.figure for section in self.page.sections for plot in section.plots}

    def html(self) -> str:
        """The page, one file that opens offline."""
        return to_html(self.page)

    def markdown(self) -> str:
        """Verdict and tables."""
        return to_markdown(self.page)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables of the page as they are shown, by name: leaderboard, ..."""
        return {name: frame(table) for name, table in named(self.page).items()}

    def write(
        self, output: Path | None, markdown: Path | None, tables: Path | None = None, figures: Path | None = None
    ) -> None:
        """Write the files that are asked for; UserError names the flag when that fails."""
        if output:
            write_output(output, self.html(), "--output")
        if markdown:
            write_output(markdown, self.markdown(), "--markdown")
        if tables:
            write_tables(self.page, tables, "--tables")
        if figures:
            write_figures(self.figures(), figures, "--figures")
