"""Results of experiments as lines and tables for a terminal."""

from rich.console import Console
from rich.table import Table

from unblur.evaluation.measuring import CUTOFFS, METRICS, key
from unblur.experiments.next_steps import next_steps, pasteable, report_step, served
from unblur.experiments.options import RunOptions
from unblur.experiments.results import ComparisonResult, EvaluationResult, StudyResult, write_summary
from unblur.formatting import gigabytes
from unblur.redaction import redact
from unblur.search.inference_grid import written


def conclude(result: StudyResult, options: RunOptions, console: Console) -> None:
    """Write the summary that the options name, and then tell: whatever becomes of the output, the file is there."""
    if options.summary:
        write_summary(options.summary, result.summary())
    show_study(result, options, console)


def show_study(result: StudyResult, options: RunOptions, console: Console) -> None:
    """Print what a study came to, where to look at it, and what to do next."""
    final = result.final
    if result.best.enqueued:
        text = (
            f"trial {result.best.number} is one of the space's own starting configurations: the search has found "
            "nothing better yet; more trials, or another space, might"
        )
        console.print(text, markup=False)
    console.print(result.headline, markup=False, style="bold")
    console.print(result.verdict, markup=False)
    console.print(f"best configuration: {written(result.best.params)}", markup=False)
    console.print(f"saved as {redact(result.configuration)}", markup=False)
    for seed, settings in enumerate(final.inference):
        console.print(f"seed {seed}: inference with {written(settings)}, by validation", markup=False)
    if final.parameters is not None and final.memory_mib is not None:
        took = gigabytes(final.memory_mib * 2**20)
        console.print(f"{final.parameters:,} parameters, fitted in at most {took} of memory", markup=False)
    if final.efficiency:
        faster = f"{result.workers * final.efficiency:.1f} times as fast as one (efficiency {final.efficiency:.2f})"
        console.print(f"{result.workers} workers: {faster}", markup=False)
    if final.model_uri:
        console.print(f"registered {final.model_uri}: {final.champion}", markup=False)
    console.print("next:", markup=False)
    for step in next_steps(result, options):
        console.print(f"  {step}", markup=False, soft_wrap=True)
    for line in to_look(result):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def show_comparison(result: ComparisonResult, options: RunOptions, console: Console) -> None:
    """Print the models side by side, the best on the test set first, and how to get the whole report."""
    if not result.studies:
        return
    first = next(iter(result.studies.values()))
    metric = first.metric
    table = Table("model", "trials", f"valid {metric}", f"test {metric}", "search s", "final runs s")
    for study in result.ranked(metric):
        seconds = [f"{study.seconds[part]:.0f}" for part in ("search", "final")]
        trials = str(sum(study.trials.values()))
        table.add_row(study.model, trials, f"{study.best.value:.4f}", str(study.test[metric]), *seconds)
    console.print(table)
    console.print(
        f"which differences are significant, and the whole comparison: {pasteable(report_step(first, options))}",
        markup=False,
        soft_wrap=True,
    )


def show_evaluation(result: EvaluationResult, console: Console) -> None:
    """Print every metric of the model on the test set, popularity's beside it."""
    request = result.data.request
    text = f"{result.model} ({result.kind}) on the test set of {request.dataset} ({request.protocol})"
    console.print(text, markup=False)
    table = Table("metric", *(f"@{k}" for k in CUTOFFS), "popularity @10")
    for metric in METRICS.names():
        values = [f"{result.test[key(metric, k)]:.4f}" for k in CUTOFFS]
        table.add_row(metric, *values, f"{result.popularity[key(metric, 10)]:.4f}")
    console.print(table)
    console.print(result.data.protocol.definition, markup=False)


def to_look(result: StudyResult) -> list[str]:
    """The views that the runs are seen in, where a server has them; `unblur dashboard` prints those of a database."""
    address = result.tracking_uri.rstrip("/")
    return [f"{name}: {address}{place}" for name, place in result.views.items()] if served(result) else []
