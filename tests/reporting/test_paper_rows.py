"""Ours beside the papers': the arithmetic, and that no row is dropped."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from tests.helpers.made_rows import PRESET

from unblur.errors import RunFailed, UserError
from unblur.experiments.paper_rows import Reproduction
from unblur.experiments.reproduce import ReproductionResult
from unblur.reporting.paper_rows import lines, report, shown, table, write

FAR = PRESET.model_copy(update={"name": "far", "dataset": "yelp"})


def done(*values: float) -> Reproduction:
    test = {"ndcg_at_10": values, "recall_at_20": values}
    return Reproduction(PRESET, "done", test=test, parameters=3_900_000, memory_mib=321.4)


@pytest.mark.parametrize(
    ("values", "difference", "close", "inside"),
    [
        ((0.096, 0.096), -0.04, True, False),  # without spread only the figure itself is inside
        ((0.08, 0.10, 0.09), -0.10, False, True),  # 0.09 with a deviation of 0.01
        ((0.130, 0.132), 0.31, False, False),
        ((0.101,), 0.01, True, None),  # one seed has no spread
    ],
)
def test_difference_and_bands(values: tuple[float, ...], difference: float, close: bool, inside: bool | None) -> None:
    line = lines([done(*values)])[0]
    assert line.difference == pytest.approx(difference)
    assert (line.close, line.inside) == (close, inside)


def test_a_narrow_terminal_cuts_no_figure() -> None:
    told = io.StringIO()
    Console(file=told, width=80).print(shown([done(0.09, 0.11), Reproduction(FAR, "not at hand", "")]))
    assert "ndcg@10" in told.getvalue() and "recall@20" in told.getvalue() and "0.1000 ± 0.0141 (2)" in told.getvalue()
    assert FAR.name not in told.getvalue()


def test_every_figure_of_every_row_is_told_whatever_became_of_it(tmp_path: Path) -> None:
    away = Reproduction(FAR, "not at hand", "get it | from there")
    rows = [done(0.09, 0.11), away, Reproduction(PRESET), Reproduction(PRESET, "failed", "nan")]
    write(rows, tmp_path / "r.md")
    text, frame = (tmp_path / "r.md").read_text(), pd.read_csv(tmp_path / "r.csv")
    assert len(table(rows).rows) == len(frame) == 2 * len(rows)
    assert frame.state.tolist() == [row.state for row in rows for _ in range(2)]
    assert frame.ours.notna().tolist() == [True] * 2 + [False] * 6
    first = frame.iloc[0]
    assert (first.ours, first.paper_value, first.difference_percent) == (pytest.approx(0.1), 0.1, pytest.approx(0))
    assert (first.parameters_millions, first.paper_parameters_millions, first.memory_mib) == (3.9, 4, 321.4)
    sizes = report(rows).sections[1].tables[0].rows
    assert sizes[0][2:] == ["3.90", "4", "321"] and sizes[1][2:] == ["–", "4", "–"]
    assert "1 done, 1 not at hand, 1 waiting, 1 failed" in text and "get it \\| from there" in text
    assert [cells[0] for cells in report(rows).sections[2].tables[0].rows] == ["far", "row", "row"]


def test_a_failed_row_fails_the_run_after_all_and_no_other_state_does() -> None:
    ReproductionResult((done(0.1), Reproduction(FAR, "not at hand"))).check()
    with pytest.raises(RunFailed, match=r"1 of 2 rows failed: row"):
        ReproductionResult((done(0.1), Reproduction(PRESET, "failed", "nan"))).check()


def test_a_file_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UserError, match=r"--output /proc/r\.md"):
        write([done(0.1)], Path("/proc/r.md"))
