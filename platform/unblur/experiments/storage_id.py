"""Which storage a study lies in: MLflow keeps the same search in two storages as two studies.

Each has trials and models of its own, and one that is begun, stopped or lost must not change the record of the other.
A storage that is moved, or reached by another path, stays the same one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pyarrow import fs

from unblur.errors import UserError
from unblur.files import alone_in, filesystem, read_json, under, write_json

FILE = "storage.json"


def storage_id(root: str) -> str:
    """The id that the storage `root` was given when it was first used; UserError when its file is damaged."""
    place = under(root, FILE)
    with _alone_in(root):
        try:
            found = read_json(place)
            if found is None:
                write_json(place, found := {"id": uuid4().hex[:8]})
            return str(found["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{place}: is damaged ({error}), expected {{'id': ...}} as it was written. Restore it; if it is lost, "
                "delete it: then studies that are in MLflow already are recorded there anew"
            ) from None


@contextmanager
def _alone_in(root: str) -> Iterator[None]:
    """Two drivers that begin in a new storage give it one id; in a bucket, which knows no locks, the last one's."""
    files, path = filesystem(root)
    if not isinstance(files, fs.LocalFileSystem):
        yield
        return
    Path(path).mkdir(parents=True, exist_ok=True)
    with alone_in(Path(path)):
        yield
