"""`unblur dashboard`: MLflow's pages and Optuna's on what searches have left, for as long as somebody looks."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

from rich.console import Console

from unblur.errors import RunFailed, UserError
from unblur.experiments.context import absolute
from unblur.experiments.options import DashboardOptions
from unblur.processes import HOST, free_port, said, server
from unblur.search.storage import file_of, local_url, shown
from unblur.tracking.address import database_file
from unblur.tracking.client import Store, asked, connect
from unblur.tracking.views import saved

OPTUNA = """
import os
from optuna_dashboard import run_server
from unblur.search.storage import open_storage
with open_storage(os.environ["UNBLUR_STUDIES"]) as storage:
    run_server(storage, os.environ["UNBLUR_HOST"], int(os.environ["UNBLUR_PORT"]))
"""
"""The address of the studies, which may hold a password, is not on the command line, where everybody can read it."""
LOOK_SECONDS = 1.0
"""Between two looks whether the servers are still there."""


def dashboard(options: DashboardOptions, console: Console) -> None:
    """Start what is not served yet, print the links, and wait for Ctrl-C or SIGTERM, which end it.

    RunFailed when a server does not come up, or ends before.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unblur-")))
        try:
            running = dict(_started(options, console, stack, folder))
            console.print("Ctrl-C ends them" if running else "they are served elsewhere: nothing was started here")
            while running:
                _check(running)
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            console.print("ended")


def _started(
    options: DashboardOptions, console: Console, stack: ExitStack, folder: Path
) -> Iterator[tuple[Path, Popen[bytes]]]:
    """The servers by their logs; the links are printed as soon as they answer."""
    url, store = _studies(options), _runs(options)
    address = store.address.rstrip("/")
    if not address.startswith("http"):
        port, log = free_port(), folder / "mlflow.log"
        command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
        told = {"MLFLOW_BACKEND_STORE_URI": store.uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        yield log, stack.enter_context(server("mlflow ui", command, port, log, told))
        address = f"http://{HOST}:{port}"
    console.print(f"MLflow: {address}", markup=False)
    for experiment, name, place in saved(store):
        console.print(f"  {experiment}, {name}: {address}{place}", markup=False)
    if url is None:
        console.print("Optuna: no search has left a study in --storage; --study-url names another database")
        return
    port, log = free_port(), folder / "optuna.log"
    told = {"UNBLUR_STUDIES": url, "UNBLUR_HOST": HOST, "UNBLUR_PORT": str(port)}
    yield log, stack.enter_context(server("optuna-dashboard", [sys.executable, "-c", OPTUNA], port, log, told))
    console.print(f"Optuna: http://{HOST}:{port}/dashboard, studies of {shown(url)}", markup=False)


def _runs(options: DashboardOptions) -> Store:
    """MLflow's store; none is made for a look."""
    uri = asked(options.tracking_uri)
    if uri.startswith("sqlite:") and not database_file(uri).exists():
        raise UserError(
            f"--tracking-uri: there is no MLflow database {database_file(uri)}; a search (unblur tune) makes one, or "
            "name another"
        )
    return connect(uri)


def _studies(options: DashboardOptions) -> str | None:
    """The studies' database; None where the storage holds none."""
    if options.study_url:
        return options.study_url
    root = absolute(options.storage)
    if "://" in root or not Path(root).is_dir():
        return None
    url = local_url(Path(root))
    file = file_of(url)
    return url if file and file.exists() else None


def _check(running: dict[Path, Popen[bytes]]) -> None:
    for log, process in running.items():
        if process.poll() is not None:
            raise RunFailed(f"the server of {log.stem} ended by itself; start it again. It said: {said(log)}")
