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
    DashboardOptions,
    DescribeOptions,
    EvaluateOptions,
    PrepareOptions,
    RecommendOptions,
    RefitOptions,
    ReproduceOptions,
    SearchOptions,
    TrainOptions,
)
from unblur.reporting.options import ReportOptions


def tune(options: SearchOptions, console: Console) -> None:
    """Search a recommender's hyperparameters, train the best with several seeds, test it once, register it.

    Examples:
        unblur tune --dataset sample --trials 8 --epochs 30 --seeds 2
        unblur tune --dataset plays.yaml --model ease,slist,prospective_cfg --trials 30
        unblur tune --dataset amazon_toys --search-space mine.yaml --dry-run
    """
    if options.check:
        check(options, console)
        return
    from unblur.experiments.tune import tune
    from unblur.reporting.attached import attach

    if result := tune(options, console):
        attach(result, options)
        result.check()


def data(options: DescribeOptions, console: Console) -> None:
    """Look at a file of your own, say what it is, and write the description that --dataset takes.

    Examples:
        unblur data ratings.csv --titles movies.csv
        unblur data plays.csv --user-column listener --k-core 5 --out plays.yaml
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
    """Find or download a dataset, filter and split it, and say what was done.

    Examples:
        unblur prepare --dataset plays.yaml
        unblur prepare --dataset amazon_toys --split leave_one_out
    """
    from unblur.data.download import local_folder
    from unblur.data.prepare import prepare

    prepared = prepare(options.data, options.data_dir, local_folder(options.storage))
    for line in [*prepared.report, f"digest {prepared.digest}", f"in {prepared.folder}"]:
        console.print(line, markup=False)


def train(options: TrainOptions, console: Console) -> None:
    """Train one configuration without a search, test it once per seed, register it.

    Examples:
        unblur train --dataset plays.yaml --model ease --set l2=200
        unblur train --dataset plays.yaml --model generative_cfg --config best.yaml --seeds 5
        unblur train --dataset plays.yaml --model generative_cfg --from-trial 7 --set guidance_scale=2 --seeds 5
    """
    from unblur.experiments.train import train
    from unblur.reporting.attached import attach

    if result := train(options, console):
        attach(result, options)
        result.check()


def refit(options: RefitOptions, console: Console) -> None:
    """Train a tested configuration once more on all data, the test part included, and test nothing of it.

    Examples:
        unblur refit --dataset plays.yaml
        unblur refit --dataset plays.yaml --model models:/unblur-plays/3
    """
    from unblur.experiments.refit import refit

    if found := refit(options, console):
        told = f"registered {found.uri} as refit: {found.model} on all {found.interactions:,} interactions"
        console.print(f"{told}; no figure is of it: those of {found.of} are of a model trained on less", markup=False)


def evaluate(options: EvaluateOptions, console: Console) -> None:
    """Test a registered model or a saved one on a dataset's test set.

    Examples:
        unblur evaluate --dataset plays.yaml
        unblur evaluate --dataset plays.yaml --model models:/unblur-plays/3 --summary test.json
    """
    from unblur.experiments.display import show_evaluation
    from unblur.experiments.evaluate import evaluate

    show_evaluation(evaluate(options, console), console)


def recommend(options: RecommendOptions, console: Console) -> None:
    """Recommend items to users of a dataset by a registered or saved model.

    Examples:
        unblur recommend --dataset plays.yaml --k 20 --output recommendations.parquet
        unblur recommend --dataset plays.yaml --users anna,bob --exclude t17,t99 --guidance-scale 2
    """
    from unblur.experiments.recommend import recommend

    found = recommend(options, console)
    console.print(f"wrote {options.output}" if options.output else found.to_string(index=False), markup=False)


def report(options: ReportOptions, console: Console) -> None:
    """Write the report of a dataset, or of what holds over several, in one HTML file, from MLflow alone.

    Examples:
        unblur report --dataset plays --output report.html --markdown report.md
        unblur report --dataset plays --tables tables --figures figures
    """
    from unblur.reporting.report import report

    for sentence in report(options).verdict:
        console.print(sentence, markup=False)
    for file in filter(None, (options.output, options.markdown, options.tables, options.figures)):
        console.print(f"wrote {file}", markup=False)


def dashboard(options: DashboardOptions, console: Console) -> None:
    """Show MLflow's pages, with the comparisons, and Optuna's, until Ctrl-C.

    Examples:
        unblur dashboard --tracking-uri http://127.0.0.1:5000
        unblur dashboard --storage /shared/unblur --tracking-uri sqlite:////shared/unblur/mlflow.db
    """
    from unblur.experiments.dashboards import dashboard

    dashboard(options, console)


def ablate(options: AblateOptions, console: Console) -> None:
    """Train a study's grid over seeds, sweep what needs no training, draw the curves.

    Examples:
        unblur ablate --study scale_curve_toys --at-most 1
        unblur ablate --study scale_curve_toys --final
    """
    from unblur.experiments.ablate import ablate
    from unblur.reporting.ablation import write

    page = options.output or Path(f"{Path(options.study).stem}.html")
    result = ablate(options, console, lambda found: write(found.study, found.measured, page))
    if not options.dry_run:
        console.print(
            f"wrote {page}, with tables as {page.with_suffix('.md')} and {page.with_suffix('.csv')}, curves as .svg",
            markup=False,
        )
    result.check()


def reproduce(options: ReproduceOptions, console: Console) -> None:
    """Train rows of the papers' tables over several seeds and write ours beside the papers'.

    Examples:
        unblur reproduce --dataset diffrec_ml_1m_clean --model diffrec --output reproduction.md
    """
    from unblur.experiments.reproduce import reproduce
    from unblur.reporting.paper_rows import shown, write

    result = reproduce(options, console, lambda found: write(found.rows, options.output))
    if not options.dry_run:
        console.print(shown(result.rows), soft_wrap=False)
        console.print(f"wrote {options.output} and {options.output.with_suffix('.csv')}", markup=False)
        result.check()


def benchmark(options: BenchmarkOptions, console: Console) -> None:
    """Measure training, evaluation, search and memory on this machine, beside a plain implementation and a peer.

    Examples:
        unblur benchmark --dataset diffrec_ml_1m_clean --peer recbole --output benchmark.json
        unblur benchmark --rounds 0 --trials 0 --recommend-users 30000 --serve-seconds 20
    """
    from unblur.benchmarking.job import run

    run(options, console)


def check(options: SearchOptions, console: Console) -> None:
    """Try every connection and permission that a search with these flags needs, and tell what is wrong.

    Examples:
        unblur check --storage s3://bucket/unblur --study-url postgresql://ann@host/studies --tracking-uri http://host:5000
    """
    from unblur.experiments.check import check

    check(options, console)


ALL: dict[str, Callable[[Any, Console], None]] = {
    command.__name__: command
    for command in (
        data,
        tune,
        prepare,
        train,
        refit,
        evaluate,
        recommend,
        report,
        dashboard,
        ablate,
        reproduce,
        benchmark,
        check,
    )
}
"""By their names, in the order of the overview."""
