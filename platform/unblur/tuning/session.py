"""What must be in order before the first trial: data, storage, MLflow, Ray. Found wrong, it is a UserError."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import ray
from pyarrow import fs
from rich.console import Console

from unblur import models
from unblur.data import store as data_store
from unblur.data.download import directory
from unblur.data.prepare import Prepared, prepare
from unblur.data.split import Split
from unblur.errors import UserError
from unblur.evaluation.metrics import parse_metric
from unblur.tracking.client import Store, connect
from unblur.tracking.tracker import Tracker
from unblur.training.checkpoints import filesystem
from unblur.training.distributed import Resources
from unblur.training.loop import Plan
from unblur.tuning.options import RunOptions
from unblur.tuning.testing import Locked
from unblur.tuning.trial import Trainer

WORKERS_ENVIRONMENT = {
    # every report of a Ray Train worker waits for this poll, which takes 2 s by default
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Session:
    """What a run works with."""

    options: RunOptions
    plan: Plan
    prepared: Prepared
    split: Split
    resources: Resources
    root: str
    """Absolute path or URI of the storage."""
    local: Path
    """A local folder for what must be local: prepared data."""
    store: Store

    @property
    def dataset(self) -> str:
        """Name of the dataset, as experiments and models are called."""
        return Path(self.options.data.dataset).stem

    def trainer(self, final: bool = False) -> Trainer:
        """Where a trial runs, or (`final`) a retrain of a search's best."""
        if self.options.trainer != "auto":
            return self.options.trainer
        return "ray" if final or self.resources.workers > 1 or self.resources.gpus else "local"

    def tracker(self) -> Tracker:
        """A new tracker in the experiment of this dataset and protocol."""
        return Tracker(self.store, f"{self.dataset}/{self.options.data.protocol}")

    def load_test(self) -> Locked:
        """Unlock the test part, for the final evaluation."""
        return Locked(self.split, data_store.load_test(self.local, self.prepared.digest), self.options.history)


def open_session(options: RunOptions, console: Console) -> Session:
    """Check and prepare; nothing of the search has happened when this raises UserError."""
    models.config_class(options.model)
    plan = Plan(
        epochs=options.epochs,
        eval_every=options.eval_every,
        patience=options.patience,
        metric=parse_metric(options.metric),
    )
    root = absolute(options.storage)
    check_writable(root)
    local = directory(None) if "://" in root else Path(root)
    store = connect(options.tracking_uri)
    prepared = prepare(options.data, options.data_dir, local)
    for line in prepared.report:
        console.print(line, markup=False)
    split = data_store.load_split(prepared.folder)
    resources = Resources(options.workers_per_trial, options.cpus_per_worker, options.gpus_per_worker)
    console.print(f"storage {root}\nMLflow {store.address}", markup=False)
    return Session(options, plan, prepared, split, resources, root, local, store)


def absolute(storage: str) -> str:
    """The storage as an absolute path, or the URI that it is."""
    return storage.rstrip("/") if "://" in storage else str(Path(storage).expanduser().absolute())


def check_writable(root: str) -> None:
    """Write and remove a small file; UserError names --storage when that fails."""
    try:
        files, path = filesystem(root)
        probe = f"{path}/.unblur-{uuid4().hex}"
        files.create_dir(path, recursive=True)
        with files.open_output_stream(probe) as stream:
            stream.write(b"unblur")
        files.delete_file(probe)
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        reason = str(error).splitlines()[0]
        raise UserError(f"--storage {root} cannot be written: {reason}. Name a folder that you may write to.") from None
    if isinstance(files, fs.LocalFileSystem) and not os.access(path, os.W_OK):
        raise UserError(f"--storage {root} cannot be written: it is read-only. Name a folder that you may write to.")


@contextmanager
def ray_cluster() -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS or a running head names, or start one on this machine for as long as needed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # otherwise every CPU-only actor of a trial would be told that it has no GPU
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    mine = not ray.is_initialized()
    if mine:
        ray.init(log_to_driver=False, logging_level="error", runtime_env={"env_vars": WORKERS_ENVIRONMENT})
    try:
        yield
    finally:
        if mine:
            ray.shutdown()
