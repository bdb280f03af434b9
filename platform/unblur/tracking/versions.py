"""A new version in the registry: the logged model with its files and metrics, and what links it to its study."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur import environment
from unblur.tracking import model_package, names
from unblur.tracking.client import Store
from unblur.tracking.model_package import PerUser, digest
from unblur.tracking.writer import having


@dataclass(frozen=True)
class New:
    """What goes into a new version."""

    folder: Path
    items: list[str]
    per_user: PerUser
    marks: dict[str, str]
    """Its tags."""
    final: int | None
    """Number of the final run that it is from, whose metrics it gets."""
    description: str
    """In Markdown."""


def create(store: Store, name: str, new: New, study: Any) -> str:
    """Log, register, and link to the parent run `study`; the number of the version."""
    from mlflow.entities import LoggedModelOutput

    client, run_id, marks = store.client, study.info.run_id, new.marks
    logged = client.create_logged_model(study.info.experiment_id, name, run_id, marks, model_type="recommender")
    with tempfile.TemporaryDirectory(prefix="unblur-") as scratch:
        package = model_package.build(Path(scratch), new.folder, new.items, new.per_user, logged, run_id)
        marks = marks | {names.CONTENT: digest(package)}
        client.log_model_artifacts(logged.model_id, str(package))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    if new.final is not None:
        _measured(client, study, new.final, logged.model_id)
    _create_name(store, name)
    with _global_uri(store.uri):
        source = f"models:/{logged.model_id}"
        made = client.create_model_version(
            name, source, run_id, tags=marks, description=new.description, model_id=logged.model_id
        )
    return str(made.version)


def _measured(client: Any, study: Any, final: int, model_id: str) -> None:
    """Give a logged model the metrics of its final run, each at its own time, so that the run has none twice."""
    from mlflow.entities import Metric

    wanted = {names.STUDY: study.data.tags[names.STUDY], names.KIND: "final", names.NUMBER: str(final)}
    data = study.inputs.dataset_inputs[0].dataset
    of = {"model_id": model_id, "dataset_name": data.name, "dataset_digest": data.digest}
    for run in client.search_runs([study.info.experiment_id], having(wanted), max_results=1):
        metrics = [Metric(m.key, m.value, m.timestamp, m.step, **of) for m in run.data.to_proto().metrics]
        client.log_batch(run.info.run_id, metrics)


@contextmanager
def _global_uri(uri: str) -> Iterator[None]:
    """A database store looks a version's model up in the global tracking URI, whichever store it is itself."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    with environment.restored():  # MLflow writes what it is told into the environment too
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)


def _create_name(store: Store, name: str) -> None:
    try:
        store.client.create_registered_model(name, description=f"Top-K recommender: {name.removeprefix('unblur-')}")
    except Exception as error:
        if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
            raise
