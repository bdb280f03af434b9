"""`jobs/evaluate.py`: one model, one look at the test set."""

from pathlib import Path

from rich.console import Console

from unblur import models
from unblur.errors import UserError
from unblur.experiments.context import SILENT, absolute
from unblur.experiments.options import EvaluateOptions
from unblur.experiments.prepared import prepare_data
from unblur.experiments.results import EvaluationResult, write_summary
from unblur.experiments.test_once import evaluate_folder, popularity
from unblur.models import trained_on
from unblur.tracking import names
from unblur.tracking.client import connect
from unblur.tracking.registry import load_registered


def evaluate(options: EvaluateOptions, console: Console = SILENT) -> EvaluationResult:
    """Score a registered or saved model on the test set, and popularity beside it. Raises UserError."""
    root = absolute(options.storage)
    data = prepare_data(options.data, root, options.data_dir, console, options.test_history)
    name, folder = _find(options, data.digest)
    trained_on.check(folder, data.dataset)
    opened = data.open_test(f"evaluate {name}, history {data.history}")
    metrics = evaluate_folder(folder, opened).metrics()
    result = EvaluationResult(name, models.name_in(folder), data, metrics, popularity(opened))
    if options.summary:
        write_summary(options.summary, result.summary())
    return result


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
