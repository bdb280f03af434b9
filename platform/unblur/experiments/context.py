"""Services and places of a run, checked before the first trial: storage, data, MLflow, Ray. UserError otherwise."""

import logging
import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from pyarrow import fs
from rich.console import Console

from unblur.errors import UserError
from unblur.evaluation.measuring import parse_metric
from unblur.evaluation.protocol import GIVEN
from unblur.experiments.options import ClusterFlags, RunOptions, SearchOptions
from unblur.experiments.prepared import PreparedData, prepare_data, sizes
from unblur.files import filesystem, under
from unblur.redaction import redact
from unblur.running.resources import Resources
from unblur.search.storage import local_url
from unblur.tracking.client import Store, connect
from unblur.training.loop import TrainingSchedule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What a search or a training works with, opened and checked."""

    options: RunOptions
    schedule: TrainingSchedule
    data: PreparedData
    root: str
    """Absolute path or URI of the storage."""
    store: Store

    def home(self, study: str) -> str:
        """The folder of a study."""
        return under(self.root, "studies", self.data.name, study)


def open_session(options: RunOptions, console: Console, validation: str = GIVEN) -> Session:
    """Check and prepare; nothing of the search has happened when this raises UserError.

    validation: what a search selects by.
    """
    schedule = TrainingSchedule(
        epochs=options.epochs,
        eval_every=options.eval_every,
        patience=options.patience,
        metric=parse_metric(options.metric),
    )
    root = absolute(options.storage)
    check_writable(root)
    if options.summary:
        check_summary(options.summary)
    log.info("opening MLflow's record; a new database takes some seconds")
    store = connect(options.tracking_uri)
    log.info("preparing the data")
    data = prepare_data(options.data, root, options.data_dir, console, options.test_history)
    data = replace(data, validation=validation)
    if validation != GIVEN:
        console.print(f"selection by validation {validation}: {sizes(data.selection)}", markup=False)
    console.print(f"storage {redact(root)}\nMLflow {store.address}", markup=False)
    return Session(options, schedule, data, root, store)


SILENT = Console(quiet=True)
"""Where entries print when they are called without a console."""


def asked_for(options: ClusterFlags) -> Resources:
    """Resources that the flags give a training: with `--gpus-per-worker auto` no GPU yet."""
    gpus = 0.0 if options.gpus_per_worker == "auto" else options.gpus_per_worker
    return Resources(options.workers_per_trial, options.cpus_per_worker, gpus)


def absolute(storage: str) -> str:
    """The storage as an absolute path, or the URI that it is."""
    return storage.rstrip("/") if "://" in storage else str(Path(storage).expanduser().absolute())


def check_writable(root: str) -> None:
    """Write, read and remove a small file; UserError names --storage when that fails."""
    try:
        files, path = filesystem(root)
        probe = f"{path}/.unblur-{uuid4().hex}"
        files.create_dir(path, recursive=True)
        with files.open_output_stream(probe) as stream:
            stream.write(b"unblur")
        with files.open_input_stream(probe) as stream:
            stream.read()
        files.delete_file(probe)
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise _unwritable(root, redact(str(error).splitlines()[0])) from None
    if isinstance(files, fs.LocalFileSystem) and not os.access(path, os.W_OK):
        raise _unwritable(root, "it is read-only")


def _unwritable(root: str, reason: str) -> UserError:
    remedy = "Name a folder that you may write to."
    if "://" in root:
        remedy = (
            "Name a bucket that exists and that you may write to; credentials come from the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or the machine's role, and the address of a store that is "
            "not Amazon's from ?endpoint_override=HOST:PORT&scheme=http."
        )
    return UserError(f"--storage {redact(root)} cannot be written: {reason}. {remedy}")


def study_url(options: SearchOptions, root: str) -> str:
    """The study's database; an object store cannot hold one, so it needs --study-url."""
    if options.study_url:
        return options.study_url
    if "://" in root:
        raise UserError(
            f"--storage {redact(root)} cannot hold the study's SQLite file; name a database: "
            "--study-url postgresql://user:password@host/database"
        )
    return local_url(Path(root))


def check_summary(file: Path) -> None:
    """Make the folder of the summary; UserError now rather than after hours when it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--summary {file} cannot be written: {error.strerror}") from None
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise UserError(f"--summary {file} cannot be written: name a file in a folder that you may write to")


def command() -> str:
    """The command line of this run, as it can be typed again; nothing secret in it."""
    return shlex.join(["python", *map(redact, sys.argv)])  # before they are quoted: a quote would split a password
