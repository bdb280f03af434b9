"""`jobs/tune.py --check`: every connection and permission that a search needs, tried before one is begun."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import optuna
from rich.console import Console

from unblur.errors import UserError
from unblur.experiments.context import absolute, asked_for, check_writable, study_url
from unblur.experiments.options import SearchOptions
from unblur.redaction import redact
from unblur.running.cluster import ray_cluster
from unblur.running.resources import cluster_nodes, concurrency
from unblur.search.lock import driving
from unblur.search.storage import open_storage, shown
from unblur.tracking.client import connect


def check(options: SearchOptions, console: Console) -> None:
    """Print a line for each service: that it works, or what is wrong and which setting to change; then raise UserError
    if any does not."""
    services: dict[str, Callable[[SearchOptions], str]] = {
        "storage": _storage,
        "study database": _study,
        "MLflow": _mlflow,
        "Ray": _ray,
    }
    wrong = 0
    for name, attempt in services.items():
        try:
            line = f"ok     {name}: {attempt(options)}"
        except UserError as error:
            wrong += 1
            line = f"WRONG  {name}: {error}"
        console.print(line, markup=False)
    if wrong:
        raise UserError(
            f"{wrong} of {len(services)} services cannot be used: correct the settings that are named above"
        )


def _storage(options: SearchOptions) -> str:
    root = absolute(options.storage)
    check_writable(root)
    return f"{redact(root)} can be written, read and cleaned"


def _study(options: SearchOptions) -> str:
    """Everything that a search does to the database: tables, a lock, a study, and its end."""
    url, name = study_url(options, absolute(options.storage)), f"check-{uuid4().hex}"
    with open_storage(url) as storage:
        optuna.create_study(storage=storage, study_name=name)
        try:
            with driving(url, name):
                pass
        finally:
            optuna.delete_study(study_name=name, storage=storage)
    if "://" not in absolute(options.storage) and not options.study_url:
        (Path(absolute(options.storage)) / f"{name}.lock").unlink(missing_ok=True)
    return f"{shown(url)} can be written and locked"


def _mlflow(options: SearchOptions) -> str:
    store = connect(options.tracking_uri)
    store.try_writing()
    return f"{store.address} takes runs and artifacts"


def _ray(options: SearchOptions) -> str:
    with ray_cluster():
        places, nodes = concurrency(asked_for(options), options.concurrency), cluster_nodes()
    told = f"{len(nodes)} node(s) at most, {places} training(s) at a time"
    gpus = sum(node.get("GPU", 0) for node in nodes)
    later = gpus and options.gpus_per_worker == "auto"
    return told + (f" by their CPUs; how {gpus:g} GPU(s) are shared is chosen when the data are known" if later else "")
