"""Rows of the papers' tables: ours beside theirs, as Markdown and CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
from rich.table import Column
from rich.table import Table as Shown
from rich.text import Text

from unblur.experiments.paper_rows import Reproduction
from unblur.files import write_output
from unblur.formatting import NONE, percent, with_spread
from unblur.reporting import paper_claims as claims
from unblur.reporting.page import Report, Section, to_markdown
from unblur.reporting.tables import Table

CLOSE = 0.05
"""As far from the paper's figure as counts as the same."""
SHOWN = ("recall@", "ndcg@")
"""What a terminal has room for; the files hold every metric."""


@dataclass(frozen=True)
class Line:
    """One figure of a row; ours are None for a row that is not done."""

    row: Reproduction
    metric: str  # ndcg@10
    paper: float
    values: Sequence[float] = ()

    @property
    def ours(self) -> float | None:
        return mean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Ours against the paper's, as a share of the paper's."""
        return None if self.ours is None else self.ours / self.paper - 1

    @property
    def close(self) -> bool | None:
        return None if self.difference is None else abs(self.difference) <= CLOSE

    @property
    def inside(self) -> bool | None:
        """Whether the paper's figure lies within two standard deviations of ours; None for fewer than two seeds."""
        return None if self.ours is None or self.spread is None else abs(self.ours - self.paper) <= 2 * self.spread


def lines(rows: Sequence[Reproduction]) -> list[Line]:
    """Every figure that the papers state for these rows."""
    return [
        Line(row, metric, paper, row.values(metric)) for row in rows for metric, paper in row.preset.expected.items()
    ]


def write(rows: Sequence[Reproduction], file: Path) -> None:
    """Write the comparison to `file` (Markdown) and beside it as CSV; UserError when that cannot be done."""
    csv = file.with_suffix(".csv")
    write_output(file, to_markdown(report(rows)), "--output")
    write_output(csv, pd.DataFrame(records(rows)).to_csv(index=False), "--output")


def report(rows: Sequence[Reproduction]) -> Report:
    """Figures, what the paper claims of them, sizes, what is open, and how each row was run."""
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    tables = [table(rows), *claims.tables(rows), _sizes(rows), _open(rows), _notes(rows)]
    return Report(
        "Reproduction of the papers' tables",
        f"{len(rows)} rows: {counts}.",
        [],
        [
            "Test set, selected on validation, history = train, with leave_one_out train+valid; means over users with "
            "held-out items."
        ],
        [Section(each.title, [each]) for each in tables],
    )


def table(rows: Sequence[Reproduction]) -> Table:
    """Ours beside the papers'."""
    cells = []
    for line in lines(rows):
        preset = line.row.preset
        ours = line.row.state if line.ours is None else f"{with_spread(line.ours, line.spread)} ({len(line.values)})"
        judged = [percent(line.difference), _yes(line.close), _yes(line.inside)]
        where = [preset.dataset, f"{_paper(preset.paper)}, {preset.table}", preset.row, preset.model]
        cells.append([*where, line.metric, ours, f"{line.paper:.4f}", *judged])
    columns = ["dataset", "table", "row", "model", "metric", "ours ± sd (seeds)", "paper's", "difference"]
    note = "The last column: whether the paper's figure lies within two standard deviations of our mean."
    return Table("Ours beside the papers'", [*columns, f"within {CLOSE:.0%}", "within 2 sd"], cells, note)


def shown(rows: Sequence[Reproduction]) -> Shown:
    """The comparison for a terminal: recall and nDCG of the rows that are done."""
    found = Shown(
        "row", *(Column(name, no_wrap=True) for name in ("metric", "ours ± sd (seeds)", "paper's", "difference"))
    )
    for line, cells in zip(lines(rows), table(rows).rows, strict=True):
        if line.ours is not None and line.metric.startswith(SHOWN):
            found.add_row(*map(Text, (line.row.preset.name, *cells[4:8])))
    return found


def _sizes(rows: Sequence[Reproduction]) -> Table:
    known = [row for row in rows if row.state == "done" or row.preset.parameters_millions is not None]
    cells = [[row.preset.dataset, row.preset.row, *_own_sizes(row)] for row in known]
    note = "Memory: the most that a training took above its process, on a GPU that of its tensors."
    return Table("Sizes", ["dataset", "row", "parameters, millions", "the paper's", "memory, MiB"], cells, note)


def _own_sizes(row: Reproduction) -> list[str]:
    paper, memory = row.preset.parameters_millions, row.memory_mib
    told = [NONE if paper is None else f"{paper:g}", NONE if memory is None else f"{memory:.0f}"]
    return [_millions(row.parameters), *told]


def _open(rows: Sequence[Reproduction]) -> Table:
    cells = [[row.preset.name, row.state, row.reason] for row in rows if row.state != "done"]
    return Table("Rows without figures of ours", ["row", "state", "reason"], cells)


def _notes(rows: Sequence[Reproduction]) -> Table:
    cells = [[row.preset.name, row.preset.command, row.preset.note or NONE] for row in rows]
    note = "With as many seeds as the tables above tell, if not five."
    return Table("How each row is run", ["row", "command", "what to keep in mind"], cells, note, code={1})


def records(rows: Sequence[Reproduction]) -> list[dict[str, object]]:
    """Every figure that the papers state for these rows, with ours, as a row of a table."""
    return [_record(line) for line in lines(rows)]


def _record(line: Line) -> dict[str, object]:
    preset = line.row.preset
    metric, _, k = line.metric.partition("@")
    return {
        "preset": preset.name,
        "paper": preset.paper,
        "table": preset.table,
        "row": preset.row,
        "dataset": preset.dataset,
        "model": preset.model,
        "metric": metric,
        "k": int(k),
        "state": line.row.state,
        "seeds": len(line.values),
        "ours": line.ours,
        "ours_sd": line.spread,
        "paper_value": line.paper,
        "difference_percent": None if line.difference is None else 100 * line.difference,
        "within_5_percent": line.close,
        "paper_within_2_sd": line.inside,
        "parameters_millions": None if line.row.parameters is None else line.row.parameters / 1e6,
        "paper_parameters_millions": preset.parameters_millions,
        "memory_mib": line.row.memory_mib,
    }


def _paper(name: str) -> str:
    return name.partition(" (")[0]


def _yes(answer: bool | None) -> str:
    return NONE if answer is None else "yes" if answer else "no"


def _millions(count: float | None) -> str:
    return NONE if count is None else f"{count / 1e6:.2f}"
