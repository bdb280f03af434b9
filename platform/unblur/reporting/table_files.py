"""The tables of a report as files: CSV for other programs, LaTeX (booktabs) for papers."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from unblur.files import write_output
from unblur.reporting.page import Report
from unblur.reporting.tables import Table

NO_ASCII: dict[str, str | int | None] = {"−": "$-$", "±": r"$\pm$", "–": "--", "×": r"$\times$", "…": r"\dots{}"}
"""What LaTeX's older engines have no letter for."""


def write_tables(report: Report, folder: Path, flag: str) -> list[Path]:
    """Write every table that has rows into `folder`; the files. UserError names the flag when that fails."""
    written = []
    for name, table in named(report).items():
        for ending, content in (("csv", frame(table).to_csv(index=False)), ("tex", latex(table))):
            written.append(folder / f"{name}.{ending}")
            write_output(written[-1], content, flag)
    return written


def named(report: Report) -> dict[str, Table]:
    """The tables that have rows, by a name for a file: the section's, with the table's own where there are several."""
    found: dict[str, Table] = {}
    for section in report.sections:
        tables = section.every_table
        for table in tables:
            title = section.title if len(tables) == 1 else f"{section.title} {table.title}"
            found[_unlike(found, re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "table")] = table
    return found


def frame(table: Table) -> pd.DataFrame:
    """The cells as they are shown."""
    return pd.DataFrame([list(row) for row in table.rows], columns=list(table.columns))


def latex(table: Table) -> str:
    r"""The table with its title as caption, for a document with `\usepackage{booktabs}`."""
    sides = "".join("r" if _numbers(column) else "l" for column in zip(*table.rows, strict=True))
    style = frame(table).style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    text = str(
        style.to_latex(hrules=True, column_format=sides, caption=_escaped(table.title), position_float="centering")
    )
    return text.translate(str.maketrans(NO_ASCII))


def _numbers(cells: Sequence[str]) -> bool:
    return all(re.match(r"[-+−]?[\d.]|$", cell) for cell in cells)


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)


def _unlike(found: dict[str, Table], name: str) -> str:
    """The name, or with a number where it is taken."""
    return next(each for each in [name, *(f"{name}-{n}" for n in range(2, len(found) + 3))] if each not in found)
