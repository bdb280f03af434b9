"""Tables of a report as files: what is shown, in CSV as it is, in LaTeX as LaTeX would show it."""

import csv
import re
from pathlib import Path

from unblur.reporting.loading import load
from unblur.reporting.page import Report, Section
from unblur.reporting.report import build
from unblur.reporting.table_files import latex, named, write_tables
from unblur.reporting.tables import Table
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader

HOSTILE = r"50% of $x_1$ & {all} #1 ~ \end{tabular} ^"


def test_every_table_is_there_twice_with_what_the_page_shows(toys: Store, tmp_path: Path) -> None:
    report = build(load(Reader(toys), "amazon_toys", "clean"))
    files = write_tables(report, tmp_path / "tables", "--tables")
    shown = [table for section in report.sections for table in section.every_table]
    assert len(files) == 2 * len(shown) == len(set(files)) and {"leaderboard.csv", "leaderboard.tex"} <= {
        file.name for file in files
    }
    for file, table in zip(files[::2], shown, strict=True):
        with file.open(newline="", encoding="utf-8") as opened:
            assert list(csv.reader(opened)) == [list(table.columns), *map(list, table.rows)]


def test_text_stays_text_in_latex() -> None:
    text = latex(Table("A & B", ["model", "n_DCG"], [[HOSTILE, "0.1 ± 0.2"], ["−", "−0.5"]]))
    assert r"50\% of \$x\_1\$ \& \{all\} \#1 \textasciitilde " in text and text.count(r"\end{tabular}") == 1
    assert r"\caption{A \& B}" in text and r"n\_DCG" in text and r"0.1 $\pm$ 0.2" in text and "$-$0.5" in text
    assert text.isascii() and r"\begin{tabular}{lr}" in text
    rows = re.search(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)
    assert rows and len(rows[1].splitlines()) == 2 and r"\toprule" in text


def test_names_are_distinct_and_say_what_is_in_them() -> None:
    one = Table("One", ["a"], [["1"]])
    sections = [Section("Is it real?", [one]), Section("Is it real?", [one, Table("Two", ["a"], [["1"]])])]
    empty = Section("Nothing", [Table("None", ["a"], [])])
    found = named(Report("t", "s", [], [], [*sections, empty]))
    assert list(found) == ["is-it-real", "is-it-real-one", "is-it-real-two"]
    assert list(named(Report("t", "s", [], [], [Section("x", [one]), Section("X", [one])]))) == ["x", "x-2"]
