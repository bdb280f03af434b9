"""`jobs/evaluate.py`: one model, one look at the test set."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from unblur import models
from unblur.data.download import directory
from unblur.data.prepare import prepare
from unblur.data.store import load_dataset
from unblur.data.test_set import TestSet
from unblur.errors import UserError
from unblur.evaluation.measuring import CUTOFFS, METRICS, key
from unblur.experiments.context import absolute
from unblur.experiments.options import EvaluateOptions
from unblur.experiments.results import write_summary
from unblur.experiments.test_once import evaluate_folder, popularity
from unblur.models import trained_on
from unblur.tracking import names
from unblur.tracking.client import connect
from unblur.tracking.registry import load_registered


def evaluate(options: EvaluateOptions, console: Console) -> None:
    """Print every metric of the model on the test set, popularity's beside it. Raises UserError."""
    root = absolute(options.storage)
    local = directory(None) if "://" in root else Path(root)
    prepared = prepare(options.data, options.data_dir, local)
    name, folder = _find(options, prepared.digest)
    dataset = load_dataset(prepared.folder)
    trained_on.check(folder, dataset)
    opened = TestSet.open(f"evaluate {name}, history {options.test_history}", local, dataset, options.test_history)
    metrics = evaluate_folder(folder, dataset, opened.test, options.test_history).metrics()
    least = popularity(dataset, opened.test, options.test_history)
    model = f"{name} ({models.name_in(folder)})"
    console.print(f"{model} on the test set of {options.data.dataset} ({options.data.protocol})", markup=False)
    table = Table("metric", *(f"@{k}" for k in CUTOFFS), "popularity @10")
    for metric in METRICS.names():
        table.add_row(metric, *(f"{metrics[key(metric, k)]:.4f}" for k in CUTOFFS), f"{least[key(metric, 10)]:.4f}")
    console.print(table)
    console.print(options.protocol.definition, markup=False)
    if options.summary:
        write_summary(options.summary, {"model": name, "history": options.test_history, "test": metrics})


def _find(options: EvaluateOptions, digest: str) -> tuple[str, Path]:
    """The model's name and folder; a registered one must have been trained on these very data."""
    if options.model and not options.model.startswith("models:/"):
        return options.model, Path(options.model)
    dataset = Path(options.data.dataset).stem
    registered = load_registered(connect(options.tracking_uri), options.model or dataset)
    trained_on = registered.tags.get(names.DATASET_DIGEST, "")
    if trained_on != digest:
        raise UserError(
            f"{registered.uri} was trained on the data with digest {trained_on[:12]}, and these have {digest[:12]}: "
            f"give the flags of its training, {registered.tags.get(names.DATA_REQUEST, '')}, or name another model "
            "with --model, such as the latest one, models:/NAME@candidate"
        )
    return registered.uri, registered.folder
