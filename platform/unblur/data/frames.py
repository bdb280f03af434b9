"""Interactions that a person holds as a DataFrame, as a file that is read like any other."""

from hashlib import sha256
from pathlib import Path

import pandas as pd

from unblur.data.download import local_folder
from unblur.files import replacing


def written(frame: pd.DataFrame, storage: str) -> Path:
    """The Parquet file of `frame` below `storage`, written once: the same rows and columns are the same file.

    A bucket's frames lie in the data directory. The name of the dataset is `frame`, or `frame.attrs["name"]`.
    """
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    digest = sha256(repr(list(frame.columns)).encode() + rows).hexdigest()[:16]
    file = local_folder(storage) / "frames" / digest / f"{frame.attrs.get('name', 'frame')}.parquet"
    if not file.exists():
        with replacing(file) as partial:
            frame.to_parquet(partial, index=False)
    return file
