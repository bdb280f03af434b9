"""What people see of a search."""

import io

from rich.console import Console

from unblur.experiments.progress import VISIBLE, Progress
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress as Report

BEFORE = [TrialRecord(0, State.COMPLETE, {"lr": 0.1, "dims": [1, 2]}, 0.5, {5: 0.5, 10: 0.4})]


def follow(terminal: bool) -> tuple[Progress, str]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with Progress(console, 10, "ndcg@10", "ndcg_at_10", BEFORE) as progress:
        for number in (1, 2, 3):
            progress.started(number, {"lr": 0.001 * number, "dims": [number], "T": 5})
            progress.progressed(number, Report(5, {"ndcg_at_10": 0.1 * number}, facts={"loss": 1.0}))
        progress.progressed(1, Report(10, {"ndcg_at_10": 0.05}))
        progress.ended(1, State.PRUNED, None)
        progress.ended(2, State.FAIL, "[out] of memory\nTraceback")
    return progress, file.getvalue()


def drawn(progress: Progress) -> str:
    console = Console(file=(file := io.StringIO()), width=120)
    console.print(progress.table())
    return file.getvalue()


def test_lines_where_there_is_no_terminal() -> None:
    lines = follow(terminal=False)[1].splitlines()
    assert lines[0] == "trial 1: started  lr=0.001 dims=[1] T=5"
    assert "trial 1: epoch 10  ndcg@10 0.0500  best 0.1000" in lines
    assert lines[-2:] == ["trial 1: pruned  best 0.1000", "trial 2: failed  [out] of memory"]


def test_table_in_a_terminal() -> None:
    progress, output = follow(terminal=True)
    assert "trial 1: started" not in output and "ndcg@10" in output
    table = drawn(progress)
    assert "1 running, 1 complete, 1 pruned, 1 failed of 10" in table
    assert "best: trial 0, ndcg@10 0.5000" in table and "lr=0.1 dims=[1,2]" in table
    assert "[out] of memory" in table and "Traceback" not in table


def test_the_table_shows_the_newest_and_what_differs() -> None:
    progress, _ = follow(terminal=True)
    for number in range(4, 4 + VISIBLE):
        progress.started(number, {"lr": float(number), "same": 1})
    assert "dims" not in drawn(progress) and "lr=18" in drawn(progress)
    alike = Progress(Console(file=io.StringIO()), 2, "ndcg@10", "ndcg_at_10")
    for number in (0, 1):
        alike.started(number, {"lr": number / 2, "same": 7})
    assert "same" not in drawn(alike) and "lr=0.5" in drawn(alike)
