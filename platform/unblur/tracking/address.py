"""Addresses of tracking stores: what is accepted, what may be shown, and how a failure is told."""

import shlex
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

from unblur.errors import UserError
from unblur.files import locked_by
from unblur.redaction import redact

LONGEST = 400
"""Characters of what a library says; it is cut between words."""
HELP = "Leave --tracking-uri out to keep the record in ./mlflow.db."


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


def explain(address: str, error: Exception) -> str:
    """What went wrong at `address` and what to do, for `--tracking-uri`."""
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else None
    if status in {401, 403}:
        return (
            f"--tracking-uri: MLflow at {address} refuses the credentials. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account that may write."
        )
    reason = redact(str(error)).strip().partition("\n")[0]
    if "database is locked" in reason and address.startswith("sqlite:"):
        return locked(database_file(address))
    if address.startswith("http") and " failed with " in reason:
        return (
            f"--tracking-uri: the MLflow server at {address} does not answer ({_cause(reason)}). Check the address, "
            f"or start one: `mlflow server --backend-store-uri sqlite:///mlflow.db --port 5000`. {HELP}"
        )
    # a command that MLflow gives is the way out, and is whole
    reason = reason.replace("<database_uri>", shlex.quote(address))
    remedy = "" if "mlflow db upgrade" in reason else f" {HELP}"
    told = textwrap.shorten(reason, LONGEST, placeholder=" …").rstrip(".")
    return f"--tracking-uri: MLflow at {address} cannot be used: {told}.{remedy}"


def database_file(uri: str) -> Path:
    """The file of a resolved `sqlite:` URI."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0])


def locked(file: Path) -> str:
    """That somebody else writes to an SQLite database, who, and what to do."""
    pid = locked_by(file)
    who, go_on = (
        (f"process {pid}", f"kill -CONT {pid}") if pid else ("another process", "lsof tells which; kill -CONT PID")
    )
    return (
        f"--tracking-uri: the MLflow database {file} is locked by {who}. Let it go on ({go_on}, if it was stopped) or "
        "end it; then the same command goes on."
    )


def _cause(reason: str) -> str:
    known = {"refused": "connection refused", "timed out": "no answer in time", "resolve": "unknown host"}
    return next((text for sign, text in known.items() if sign in reason), reason.partition(" failed with ")[2][:200])
