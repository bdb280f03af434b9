"""What people see of a search."""

import io
import random
from typing import Any

import pytest
from rich.console import Console
from tests.helpers import ROOT

from unblur import cli, models
from unblur.experiments.progress import VISIBLE, Progress
from unblur.search.space_file import load_space
from unblur.tracking.names import final_number
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress as Report

BEFORE = [TrialRecord(0, State.COMPLETE, {"lr": 0.1, "dims": [1, 2]}, 0.5, {5: 0.5, 10: 0.4})]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def follow(terminal: bool) -> tuple[Progress, str]:
    console = Console(file=(file := io.StringIO()), force_terminal=terminal, width=120)
    clock = Clock()
    shown = Progress(console, 10, "ndcg@10", "ndcg_at_10", BEFORE, epochs=20, clock=clock)
    with shown as progress:
        for number in (1, 2, 3):
            progress.started(number, {"lr": 0.001 * number, "dims": [number], "T": 5})
            progress.progressed(number, Report(5, {"ndcg_at_10": 0.1 * number}, facts={"loss": 1.0}))
        for epoch in (10, 11, 12):
            clock.now += 40
            progress.progressed(1, Report(epoch, {"ndcg_at_10": 0.05}))
        progress.ended(1, State.PRUNED, None)
        progress.ended(2, State.FAIL, "[out] of memory\nTraceback")
    return progress, file.getvalue()


def drawn(progress: Progress, width: int = 120) -> str:
    console = cli.console()  # the command line's own, which wraps nothing by itself
    console.file, console.width = (file := io.StringIO()), width
    console.print(progress)
    return file.getvalue()


def test_lines_where_there_is_no_terminal() -> None:
    lines = follow(terminal=False)[1].splitlines()
    assert lines[0] == "trial 1: started  lr=0.001 dims=[1] T=5"
    told = [line for line in lines if line.startswith("trial 1: epoch")]
    assert told == [
        "trial 1: epoch 5/20  ndcg@10 0.1000  best 0.1000",
        "trial 1: epoch 11/20  ndcg@10 0.0500  best 0.1000",  # a minute later, and not at 10 and 12
    ]
    assert lines[-2].startswith("trial 1: pruned  best 0.1000  (2 of 10, 2 min elapsed, about ")
    assert lines[-1].startswith("trial 2: failed  [out] of memory  (3 of 10")


def test_what_is_begun_again_is_told_with_its_cause_and_counted() -> None:
    progress = Progress(Console(file=(file := io.StringIO()), width=120), 3, "x", "x", clock=Clock())
    progress.started(0, {})
    for fault in ("node", "process"):
        progress.again(0, fault)
    assert file.getvalue().splitlines()[1:] == [
        "trial 0: begun again, its node went away",
        "trial 0: begun again, its process died",
    ]
    assert "1 running of 3 (2 begun again); 0 s elapsed" in drawn(progress)


def test_final_runs_are_called_by_their_seeds() -> None:
    console = Console(file=(file := io.StringIO()), width=120)
    progress = Progress(console, 2, "x", "x", kind="final", epochs=20, clock=Clock())
    for seed in (0, 1):
        progress.started(final_number(2, seed), {"lr": 0.1})
        progress.progressed(final_number(2, seed), Report(5, {"x": 0.25 + seed}))
    progress.ended(final_number(2, 1), State.COMPLETE, None)
    told = [line.partition("  ")[0] for line in file.getvalue().splitlines()]
    assert told[0] == "seed 0: started" and told[-1] == "seed 1: complete"
    assert "best: seed 1, x 1.2500" in drawn(progress) and "20" not in drawn(progress).replace("/20", "")


def test_table_in_a_terminal() -> None:
    progress, output = follow(terminal=True)
    assert "trial 1: started" not in output and "ndcg@10" in output
    table = drawn(progress)
    assert "1 running, 1 complete, 1 pruned, 1 failed of 10; 2 min elapsed" in table
    assert "best: trial 0, ndcg@10 0.5000  lr=0.1 dims=[1,2]" in table
    assert "[out] of memory" in table and "Traceback" not in table


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("model", ["cfg_diffrec", "l_diffrec"])
def test_the_default_space_leaves_room_for_what_counts(model: str, width: int) -> None:
    space = load_space(ROOT / "search_spaces" / f"{model}.yaml", models.config_class(model))
    rng, console = random.Random(0), Console(file=(file := io.StringIO()), width=width, force_terminal=True)
    title = f"{model}, model 2 of 4"
    progress = Progress(console, 40, "precision@20", "precision_at_20", epochs=1000, title=title, clock=Clock())
    for number in range(30):
        params: dict[str, Any] = space.assemble(lambda _, parameter: parameter.sample(rng))
        progress.started(number, params)
        progress.progressed(number, Report(900 + number, {"precision_at_20": 0.25 + number / 1000}, 0.5))
    progress.ended(21, State.COMPLETE, None)
    lines = drawn(progress, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert f"{model}, model 2 of 4: 29 running, 1 complete of 40; 0 s elapsed" in " ".join(" ".join(lines[:2]).split())
    heading = next(line for line in lines if "state" in line).split()
    assert heading[:5] == ["trial", "state", "epoch", "precision@20", "best"]
    rows = {cells[0]: cells for line in lines if len(cells := line.split()) > 4 and cells[0].isdigit()}
    assert list(rows) == [str(number) for number in range(15, 30)]
    assert rows["29"][:5] == ["29", "running", "929/1000", "0.2790", "0.5000"]
    assert rows["21"][:5] == ["21", "complete", "921/1000", "0.2710", "0.5000"]
    assert ("parameters" in heading) == (width > 60)
    with progress:
        assert progress._live is not None
    assert "929/1000" in file.getvalue()


def test_the_table_shows_the_newest_and_what_differs() -> None:
    progress, _ = follow(terminal=True)
    for number in range(4, 4 + VISIBLE):
        progress.started(number, {"lr": float(number), "same": 1})
    assert "lr=18" in drawn(progress) and "dims" not in drawn(progress).partition("best:")[0]
    alike = Progress(Console(file=io.StringIO()), 2, "ndcg@10", "ndcg_at_10")
    for number in (0, 1):
        alike.started(number, {"lr": number / 2, "same": 7})
    assert "same" not in drawn(alike) and "lr=0.5" in drawn(alike)


def test_time_left_by_epochs_at_first_and_then_by_trials() -> None:
    clock = Clock()
    progress = Progress(Console(file=io.StringIO()), 10, "x", "x", epochs=100, clock=clock)
    assert "left" not in drawn(progress)
    for number in (0, 1):
        progress.started(number, {})
    clock.now += 50
    progress.progressed(0, Report(50, {"x": 0.1}))
    # a second an epoch: 8 that wait take 800 s, two that run have 50 s each before them, two at a time
    assert "50 s elapsed, at most 8 min left" in drawn(progress)
    progress.ended(0, State.PRUNED, None)  # as most will be: 8 of 50 s, and the second is about to end
    assert "50 s elapsed, about 3 min left" in drawn(progress)
