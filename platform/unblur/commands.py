"""What the subcommands of `unblur` do: each takes its options, and says on the console what it does.

Imports are late: help and usage errors need not wait for Ray, torch and MLflow.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from unblur.benchmarking.options import BenchmarkOptions
from unblur.experiments.options import (
    AblateOptions,
    DescribeOptions,
    EvaluateOptions,
    PrepareOptions,
    RecommendOptions,
    ReproduceOptions,
    SearchOptions,
    TrainOptions,
)
from unblur.reporting.options import ReportOptions


def tune(options: SearchOptions, console: Console) -> None:
    """Search a recommender's hyperparameters, train the best with several seeds, test it once, register it."""
    if options.check:
        check(options, console)
        return
    from unblur.experiments.tune import tune

    if result := tune(options, console):
        result.check()


def data(options: DescribeOptions, console: Console) -> None:
    """Look at a file of your own, say what it is, and write the description that --dataset takes.

    Example: `unblur data ratings.csv --titles movies.csv`, then `unblur tune --dataset ratings.yaml`.
    """
    from unblur.experiments.describe import describe
    from unblur.files import write_output
    from unblur.reporting.data_page import html, lines, next_step

    found = describe(options)
    write_output(found.page, html(found), "--out")
    for line in lines(found):
        console.print(line, markup=False)
    console.print(f"wrote {found.file}, and the same as a page, {found.page}", markup=False)
    console.print(f"next: {next_step(found)}", markup=False)


def prepare(options: PrepareOptions, console: Console) -> None:
    """Find or download a dataset, filter and split it, and say what was done."""
    from unblur.data.download import local_folder
    from unblur.data.prepare import prepare

    prepared = prepare(options.data, options.data_dir, local_folder(options.storage))
    for line in [*prepared.report, f"digest {prepared.digest}", f"in {prepared.folder}"]:
        console.print(line, markup=False)


def train(options: TrainOptions, console: Console) -> None:
    """Train one configuration without a search, test it once per seed, register it."""
    from unblur.experiments.train import train

    if result := train(options, console):
        result.check()


def evaluate(options: EvaluateOptions, console: Console) -> None:
    """Test a registered model or a saved one on a dataset's test set."""
    from unblur.experiments.display import show_evaluation
    from unblur.experiments.evaluate import evaluate

    show_evaluation(evaluate(options, console), console)


def recommend(options: RecommendOptions, console: Console) -> None:
    """Recommend items to users of a dataset by a registered or saved model.

    Example: `unblur recommend --dataset plays.yaml --k 20 --guidance-scale 2 --output recommendations.parquet`.
    """
    from unblur.experiments.recommend import recommend

    found = recommend(options, console)
    console.print(f"wrote {options.output}" if options.output else found.to_string(index=False), markup=False)


def report(options: ReportOptions, console: Console) -> None:
    """Write the report of a dataset, or of what holds over several, in one HTML file, from MLflow alone."""
    from unblur.reporting.report import report

    for sentence in report(options).verdict:
        console.print(sentence, markup=False)
    for file in filter(None, (options.output, options.markdown)):
        console.print(f"wrote {file}", markup=False)


def ablate(options: AblateOptions, console: Console) -> None:
    """Train a study's grid over seeds, sweep what needs no training, draw the curves."""
    from unblur.experiments.ablate import ablate
    from unblur.reporting.ablation import write

    page = options.output or Path(f"{Path(options.study).stem}.html")
    result = ablate(options, console, lambda found: write(found.study, found.measured, page))
    if not options.dry_run:
        console.print(
            f"wrote {page}, with the tables as {page.with_suffix('.md')} and {page.with_suffix('.csv')}", markup=False
        )
    result.check()


def reproduce(options: ReproduceOptions, console: Console) -> None:
    """Train rows of the papers' tables over several seeds and write ours beside the papers'."""
    from unblur.experiments.reproduce import reproduce
    from unblur.reporting.paper_rows import shown, write

    result = reproduce(options, console, lambda found: write(found.rows, options.output))
    if not options.dry_run:
        console.print(shown(result.rows), soft_wrap=False)
        console.print(f"wrote {options.output} and {options.output.with_suffix('.csv')}", markup=False)
        result.check()


def benchmark(options: BenchmarkOptions, console: Console) -> None:
    """Measure training, evaluation, search and memory on this machine, beside a plain implementation and a peer."""
    from unblur.benchmarking.job import run

    run(options, console)


def check(options: SearchOptions, console: Console) -> None:
    """Try every connection and permission that a search with these flags needs, and tell what is wrong."""
    from unblur.experiments.check import check

    check(options, console)


ALL: dict[str, Callable[[Any, Console], None]] = {
    command.__name__: command
    for command in (data, tune, prepare, train, evaluate, recommend, report, ablate, reproduce, benchmark, check)
}
"""By their names, in the order of the overview."""
