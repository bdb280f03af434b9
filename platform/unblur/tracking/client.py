"""Where MLflow keeps the runs: one checked connection, made by the driver before any worker starts."""

import fcntl
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unblur.errors import UserError

ENVIRONMENT = {
    # we retry by ourselves: a create that MLflow repeats behind our back would make a second run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # MLflow prints the server's address, credentials included, at the end of every run
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
SERVICES = {"mlflow", "sqlalchemy", "requests", "urllib3", "boto3", "botocore", "google", "azure"}
FIRST_ANSWER_SECONDS = 4
HELP = "Leave --tracking-uri out to keep the record in ./mlflow.db."


@dataclass(frozen=True)
class Store:
    """A tracking store that has answered. `uri` may hold a password and is never shown; `address` is."""

    uri: str
    client: Any  # mlflow.MlflowClient
    artifacts: Path | None  # where a store without a server keeps artifacts; None: the server decides

    @property
    def address(self) -> str:
        return redact(self.uri)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what MLflow and the services behind it raise inside into a UserError without credentials."""
        try:
            yield
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in SERVICES and not isinstance(error, OSError):
                raise  # a mistake of ours
            # from None: the original text may hold the password, and a traceback would print it
            raise UserError(_explain(self.address, error)) from None

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made when missing, its artifacts at an absolute place."""
        with self.explained():
            found = self.client.get_experiment_by_name(name) or self._create_experiment(name)
        if found.lifecycle_stage != "active":
            raise UserError(
                f"--tracking-uri: the experiment {name!r} at {self.address} was deleted. Restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or use another store."
            )
        return str(found.experiment_id)

    def _create_experiment(self, name: str) -> Any:
        folder = self.artifacts and self.artifacts / re.sub(r"[^\w.-]+", "_", name)
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            self.client.create_experiment(name, artifact_location=folder and folder.as_uri(), tags=tags)
        except Exception as error:
            # another driver was faster
            if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                raise
        return self.client.get_experiment_by_name(name)


def connect(tracking_uri: str | None = None, directory: Path | None = None) -> Store:
    """Open the tracking store and make sure that it answers; raises UserError within seconds when it does not.

    `tracking_uri`: None means MLFLOW_TRACKING_URI, or else `mlflow.db` in `directory` (the working directory).
    """
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    home = (directory or Path.cwd()).absolute()
    uri = resolve(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), home)
    if uri.startswith("sqlite:"):
        return _open_sqlite(uri)
    artifacts = None if urlsplit(uri).scheme in {"http", "https", "databricks", "uc"} else home / "mlartifacts"
    return _open(uri, artifacts)


def resolve(tracking_uri: str | None, directory: Path) -> str:
    """The URI to use, paths made absolute; the file store, which MLflow has given up, is refused."""
    uri = tracking_uri or f"sqlite:///{directory / 'mlflow.db'}"
    scheme = urlsplit(uri).scheme if "://" in uri else uri.partition(":")[0] if uri.startswith("file:") else ""
    if scheme in {"", "file"} and uri not in {"databricks", "uc"}:
        raise UserError(
            f"--tracking-uri {redact(uri)}: MLflow no longer keeps runs in plain files. Use a database "
            f"(sqlite:///{directory / 'mlflow.db'}) or a server (http://HOST:PORT). {HELP}"
        )
    if scheme != "sqlite":
        return uri
    path, _, query = uri.removeprefix("sqlite:///").partition("?")
    if path in {"", "sqlite://", ":memory:"}:
        raise UserError(
            f"--tracking-uri {uri}: a database in memory would be lost. Use sqlite:///PATH/mlflow.db. {HELP}"
        )
    return f"sqlite:///{directory / path}" + (f"?{query}" if query else "")


def redact(text: str) -> str:
    """The text without user names and passwords in addresses."""
    text = re.sub(r"([\w+.-]+://)[^\s/'\"]*@", r"\1", text)
    return re.sub(r"([?&][^=&\s]*(?:password|token|secret)[^=&\s]*=)[^&\s'\"]+", r"\1***", text, flags=re.IGNORECASE)


def _open_sqlite(uri: str) -> Store:
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            # a write that changes nothing: tells a read-only file, a full disk or a file of another kind
            with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            return _open(uri, path.parent / "mlartifacts")
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"--tracking-uri: cannot write the MLflow database {path}: {error}. "
            "Choose a folder that you may write to: --tracking-uri sqlite:///PATH/mlflow.db."
        ) from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two drivers that make the same database at once break it for good; a lock on its folder leaves no file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(uri: str, artifacts: Path | None) -> Store:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _first_answer():
        try:
            from mlflow import MlflowClient

            client = MlflowClient(uri, registry_uri=uri)
            client.search_experiments(max_results=1)
        except Exception as error:
            raise UserError(_explain(redact(uri), error)) from None
    return Store(uri, client, artifacts)


@contextmanager
def _first_answer() -> Iterator[None]:
    usual = os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(FIRST_ANSWER_SECONDS)
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = usual


def _explain(address: str, error: Exception) -> str:
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else None
    if status in {401, 403}:
        return (
            f"--tracking-uri: MLflow at {address} refuses the credentials. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account that may write."
        )
    reason = redact(str(error)).strip().partition("\n")[0]
    if address.startswith("http") and " failed with " in reason:
        return (
            f"--tracking-uri: the MLflow server at {address} does not answer ({_cause(reason)}). Check the address, "
            f"or start one: `mlflow server --backend-store-uri sqlite:///mlflow.db --port 5000`. {HELP}"
        )
    return f"--tracking-uri: MLflow at {address} cannot be used: {reason[:300]}. {HELP}"


def _cause(reason: str) -> str:
    known = {"refused": "connection refused", "timed out": "no answer in time", "resolve": "unknown host"}
    return next((text for sign, text in known.items() if sign in reason), reason.partition(" failed with ")[2][:200])
