"""`jobs/evaluate.py`: one model, one look at the test set."""

import tempfile
from collections.abc import Container
from pathlib import Path

from rich.console import Console

from unblur import models
from unblur.errors import UserError
from unblur.experiments.context import SILENT, absolute
from unblur.experiments.options import EvaluateOptions
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.experiments.results import EvaluationResult, write_summary
from unblur.experiments.test_once import evaluate_folder, popularity
from unblur.files import download
from unblur.models import trained_on
from unblur.redaction import redact
from unblur.tracking import names
from unblur.tracking.client import connect
from unblur.tracking.registry import Registered, load_registered


def evaluate(options: EvaluateOptions, console: Console = SILENT) -> EvaluationResult:
    """Score a registered or saved model on the test set, and popularity beside it. Raises UserError."""
    root = absolute(options.storage)
    data = prepare_data(options.data, root, options.data_dir, console, options.test_history)
    name, folder = find_model(options.model, data, options.tracking_uri)
    trained_on.check(folder, data.dataset)
    opened = data.open_test(f"evaluate {name}, history {data.history}")
    metrics = evaluate_folder(folder, opened).metrics()
    result = EvaluationResult(name, models.name_in(folder), data, metrics, popularity(opened).metrics())
    if options.summary:
        write_summary(options.summary, result.summary())
    return result


def _fetched(place: str) -> Path:
    """The folder of a saved model: a path, or what lies at an address in a storage, copied."""
    if "://" not in place:
        return Path(place)
    try:
        return download(place, Path(tempfile.mkdtemp(prefix="unblur-")))
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        reason = redact(str(error).splitlines()[0])
        raise UserError(
            f"--model {redact(place)} cannot be read: {reason}. Name the folder of a saved model, a path or an address "
            "as for --storage"
        ) from None


def find_model(model: str | None, data: PreparedData, tracking_uri: str | None) -> tuple[str, Path]:
    """Name and folder of a saved or registered model, by default the champion of the data.

    UserError for a registered model that was trained on other data, parts of these apart.
    """
    if model and not model.startswith("models:/"):
        return redact(model), _fetched(model)
    registered = load_registered(connect(tracking_uri), model or data.name)
    refuse_others(registered, data, {data.digest, data.dataset.digest_of_all})
    return registered.uri, registered.folder


def refuse_others(registered: Registered, data: PreparedData, digests: Container[str]) -> None:
    """UserError for a model that was trained on data with none of these digests, which are those of `data`."""
    found = registered.tags.get(names.DATASET_DIGEST, "")
    if found not in digests:
        raise UserError(
            f"{registered.uri} was trained on the data with digest {found[:12]}, and these have {data.digest[:12]}: "
            f"give the flags of its training, {registered.tags.get(names.DATA_REQUEST, '')}, or name another model "
            "with --model, such as the latest one, models:/NAME@candidate"
        )
