"""New MLflow databases for nothing: making one takes most of a second, copying it none."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from unblur.tracking.client import Store, connect


def new_database(folder: Path, name: str = "mlflow.db") -> str:
    """The address of an empty database in the folder."""
    (folder / name).write_bytes(_empty())
    return f"sqlite:///{folder / name}"


def empty_store(folder: Path) -> Store:
    return connect(new_database(folder))


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        connect(f"sqlite:///{folder}/mlflow.db")
        return (Path(folder) / "mlflow.db").read_bytes()
