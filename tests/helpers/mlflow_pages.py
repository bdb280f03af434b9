"""A real MLflow server for as long as a test needs one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.mlflow_server import Server
from unblur.tracking.client import Store


@contextmanager
def served(store: Store, folder: Path) -> Iterator[str]:
    """The address of an `mlflow server` on the store's database."""
    server = Server(folder, store.uri)
    try:
        server.start()
        yield server.uri
    finally:
        server.stop()
