"""Where MLflow keeps the runs: one checked connection, made by the driver before any worker starts."""

import logging
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from unblur import environment
from unblur.errors import UserError
from unblur.files import alone_in
from unblur.redaction import redact, remember
from unblur.tracking.address import database_file, explain, locked, resolve

SERVICES = {"mlflow", "sqlalchemy", "requests", "urllib3", "boto3", "botocore", "google", "azure"}
DATABASES = {"postgresql", "mysql", "mssql"}
FIRST_ANSWER_SECONDS = 4
LOCK_SECONDS = 10.0
"""For which another process may keep an SQLite database locked at a start."""


@dataclass(frozen=True)
class Store:
    """A tracking store that has answered. `uri` may hold a password and is never shown; `address` is."""

    uri: str = field(repr=False)
    client: Any  # mlflow.MlflowClient
    artifacts: Path | None  # where a store without a server keeps artifacts; None: the server decides

    @property
    def address(self) -> str:
        return redact(self.uri)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what MLflow and the services behind it raise inside into a UserError without credentials.

        What the file system says of a file is told of that file: MLflow is not at fault.
        """
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) and isinstance(error.filename, str):
                raise UserError(
                    f"{error.filename}: {error.strerror}. If it was moved or deleted, put it back; if it may not be "
                    "written, mend that. Then the same command goes on."
                ) from None
            if type(error).__module__.partition(".")[0] not in SERVICES and not isinstance(error, OSError):
                raise  # a mistake of ours
            # from None: the original text may hold the password, and a traceback would print it
            raise UserError(explain(self.address, error)) from None

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made when missing, its artifacts at an absolute place."""
        with self.explained():
            found = self.client.get_experiment_by_name(name) or self._create_experiment(name)
        if found.lifecycle_stage != "active":
            raise UserError(
                f"--tracking-uri: the experiment {name!r} at {self.address} was deleted. Restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or use another store."
            )
        self._check_folder(name, found.artifact_location)
        return str(found.experiment_id)

    def _check_folder(self, name: str, location: str) -> None:
        """That the folder of an experiment's artifacts is there: MLflow would make a new one beside what was moved."""
        path = local_path(location)
        if self.artifacts is None or path is None or path.is_dir():
            return
        quoted = shlex.quote(str(path))
        raise UserError(
            f"--tracking-uri: the experiment {name!r} at {self.address} keeps its files in {path}, which is not there. "
            f"If it was moved, put it back or leave a link there (ln -s NEW {quoted}); if its files are lost, begin "
            f"with an empty one (mkdir -p {quoted})."
        )

    def try_writing(self) -> None:
        """Make a run with an artifact and delete it; raises UserError when that is not allowed."""
        experiment = self.experiment("unblur-check")
        with self.explained():
            run = self.client.create_run(experiment, run_name="check")
            self.client.log_text(run.info.run_id, "unblur", "check.txt")
            self.client.set_terminated(run.info.run_id)
            self.client.delete_run(run.info.run_id)

    def _create_experiment(self, name: str) -> Any:
        folder = self.artifacts and self.artifacts / re.sub(r"[^\w.-]+", "_", name)
        tags = {"mlflow.experimentKind": "custom_model_development"}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self.client.create_experiment(name, artifact_location=folder and folder.as_uri(), tags=tags)
        except Exception as error:
            # another driver was faster
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        return self.client.get_experiment_by_name(name)


def local_path(location: str) -> Path | None:
    """The path of an artifact's location on this machine; None where it is none."""
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in {"", "file"} else None


def asked(tracking_uri: str | None) -> str:
    """The URI of the store that `connect` opens."""
    return resolve(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), Path.cwd())


def connect(tracking_uri: str | None = None) -> Store:
    """Open the tracking store and make sure that it answers; raises UserError within seconds when it does not.

    `tracking_uri`: None means MLFLOW_TRACKING_URI, or else `mlflow.db` in the working directory.
    """
    environment.keep(environment.MLFLOW, environment.MLFLOW_DEFAULTS)
    home, uri = Path.cwd(), asked(tracking_uri)
    remember([uri])
    if uri.startswith("sqlite:"):
        return _open_sqlite(uri)
    if urlsplit(uri).scheme.partition("+")[0] in DATABASES:
        _try_database(uri)
        return _open(uri, home / "mlartifacts")
    return _open(uri, None)


def _open_sqlite(uri: str) -> Store:
    path = database_file(uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(path.parent):  # two drivers that make the same database at once break it for good
            # a write that changes nothing: tells a read-only file, a full disk or a file of another kind
            with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            return _open(uri, path.parent / "mlartifacts")
    except (OSError, sqlite3.Error) as error:
        if "database is locked" in str(error):
            raise UserError(locked(path)) from None
        raise UserError(
            f"--tracking-uri: cannot write the MLflow database {path}: {error}. "
            "Choose a folder that you may write to: --tracking-uri sqlite:///PATH/mlflow.db."
        ) from None


def _try_database(uri: str) -> None:
    """One connection of our own: MLflow tries for 103 seconds, and prints every failure."""
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": FIRST_ANSWER_SECONDS})
        with engine.connect():
            pass
        engine.dispose()
    except Exception as error:
        raise UserError(explain(redact(uri), error)) from None


def _open(uri: str, artifacts: Path | None) -> Store:
    # the first two tell how they make the tables; the third prints a traceback whenever a database is away
    for name, level in {"mlflow": "WARNING", "alembic": "WARNING", "mlflow.store.db.utils": "CRITICAL"}.items():
        logging.getLogger(name).setLevel(level)
    with environment.variables({"MLFLOW_HTTP_REQUEST_TIMEOUT": str(FIRST_ANSWER_SECONDS)}):
        try:
            from mlflow import MlflowClient

            client = MlflowClient(uri, registry_uri=uri)
            client.search_experiments(max_results=1)
        except Exception as error:
            raise UserError(explain(redact(uri), error)) from None
    return Store(uri, client, artifacts)
