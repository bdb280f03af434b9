"""jobs/benchmark.py end to end on a small scale: the result's form, and that what it compares is the same."""

from pathlib import Path

import pytest
from tests.helpers.jobs import Run, here

from unblur.benchmarking.result import Result
from unblur.evaluation.measuring import METRICS

SMALL = ["--hidden", 16, "--users", 400, "--rounds", 2, "--threads", 1, "--steps", 3]


@pytest.mark.slow
def test_it_measures_everything_and_keeps_it(tmp_path: Path, run: Run) -> None:
    search = ["--trials", 3, "--trial-seconds", 0.2]
    done = run(tmp_path, "benchmark", "--dataset", "sample", *SMALL, *search, "--output", "b.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = Result.model_validate_json((tmp_path / "b.json").read_text())
    assert (result.users, result.items, result.machine.threads) == (400, 1000, 1)
    assert result.command.endswith("--output b.json")
    assert result.training and result.training.times.keys() == {"ours", "textbook", "products"}
    assert all(len(each.seconds) == 2 and min(each.seconds) > 0 for each in result.training.times.values())
    (evaluation,) = result.evaluation
    assert evaluation.steps == 3 and evaluation.largest_difference["textbook"] < 1e-9
    assert {f"{name}_at_10" for name in METRICS.names()} <= evaluation.metrics["ours"].keys()
    assert result.memory and result.memory.above > 2 * 16 * 1000 * 4  # the weights at least
    assert result.search and [each.concurrency for each in result.search.runs] == [1, 2]
    for each in result.search.runs:
        assert each.trials == 3 and 0 < each.training_seconds < 2 * each.seconds + 1 and each.start_up > 0
    assert result.search.runs[0].training_seconds <= result.search.runs[0].seconds
    assert result.ratios["training: products / ours"] == result.training.share_of_products
    assert {"search, one at a time: overhead over training", "evaluation, T = 3: textbook / ours"} <= set(result.ratios)
    assert "ratios" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--textbook", "nowhere.py"], "--textbook nowhere.py"),
        (["--output", "nowhere/b.json"], "--output nowhere/b.json"),
        (["--dataset", "nothing"], "nothing"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(tmp_path: Path, flags: list[str], message: str) -> None:
    done = here(tmp_path, "benchmark", *SMALL, "--trials", 0, *flags)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
