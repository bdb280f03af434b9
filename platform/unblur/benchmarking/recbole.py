"""RecBole's DiffRec and SASRec, in an environment of its own: it needs older libraries than ours."""

import json
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console

from unblur.benchmarking.implementations import Metrics, Weights
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed, UserError

REQUIREMENTS = ("recbole==1.2.1", "numpy<2", "scipy<1.13", "pandas<2.2", "setuptools<81")
"""RecBole's code runs with these alone; PyTorch is the same as ours, so that the kernels are too."""
SCRIPT = Path(__file__).with_name("recbole_peer.py")


class RecBole:
    """A process that answers one command a line."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process, self.folder = process, folder

    def load(self, weights: Weights, steps: int = 1) -> None:
        """Start over with these weights, and with so many diffusion steps where there are any."""
        file = self.folder / "weights.npz"
        arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in weights.items()}
        np.savez(file, **arrays)
        self._ask(do="load", weights=str(file), steps=steps)

    def train_epoch(self) -> float:
        return float(self._ask(do="train")["seconds"])

    def evaluate(self) -> tuple[float, Metrics]:
        told = self._ask(do="evaluate")
        return float(told["seconds"]), {name.replace("@", "_at_"): value for name, value in told["metrics"].items()}

    def _ask(self, **command: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RunFailed(
                f"RecBole's process ended with status {self.process.wait()}; correct what its own messages above say"
            )
        return json.loads(answer)


Opened = AbstractContextManager[RecBole]


@contextmanager
def recbole(
    write: Callable[[Path], None], sizes: Mapping[str, Any], cache: Path, console: Console
) -> Iterator[RecBole]:
    """RecBole's process, on what `write` writes into a folder; `sizes` is what `recbole_peer.py` is told."""
    python = environment(cache.expanduser(), console)
    with TemporaryDirectory(prefix="unblur-recbole-") as kept:
        folder = Path(kept)
        write(folder / "unblur")
        with subprocess.Popen(
            [python, "-P", SCRIPT, json.dumps(sizes)],  # -P: nothing of this folder may be found there
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield RecBole(process, folder)
            finally:
                process.kill()


def environment(cache: Path, console: Console) -> Path:
    """The interpreter of the environment in `cache`, made on the first call. UserError when pip cannot."""
    home = cache / "recbole-1.2.1"
    python, complete = home / "bin" / "python", home / "complete"
    if complete.exists():
        return python
    console.print(f"making an environment for RecBole in {home}; it takes some minutes", markup=False)
    venv.create(home, with_pip=True, clear=True)
    torch_version = f"torch=={torch.__version__.partition('+')[0]}"
    _install(python, [torch_version, "numpy<2"], home)  # first: a later one would bring its CUDA packages
    _install(python, [torch_version, *REQUIREMENTS], home)
    complete.touch()
    return python


def _install(python: Path, packages: Sequence[str], home: Path) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *packages], stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(
            f"--peer recbole: pip could not install {', '.join(packages)} into {home}: {reason}. Install them there "
            f"yourself and create the file {home / 'complete'}, or name another folder with --peer-cache."
        )


def write_data(dataset: Dataset, folder: Path) -> None:
    """RecBole's own files, one for each part, and one that names every item, so that the catalogues are the same."""
    folder.mkdir()
    for name, part in (("train", dataset.train), ("valid", dataset.valid)):
        rows, columns = part.nonzero()
        lines = (f"{user}\t{item}\n" for user, item in zip(rows.tolist(), columns.tolist(), strict=True))
        (folder / f"unblur.{name}.inter").write_text("user_id:token\titem_id:token\n" + "".join(lines))
    _write_items(dataset, folder)


def write_prefixes(dataset: Dataset, length: int, folder: Path) -> None:
    """The same where order counts: a row for each target, with the newest `length` items before it."""
    folder.mkdir()
    train = dataset.history().in_order()
    found = dataset.valid.tocoo()
    rows = {
        "train": [
            (user, train.items[max(start, end - length) : end], train.items[end])
            for user, (start, stop) in enumerate(zip(train.starts.tolist(), train.ends.tolist(), strict=True))
            for end in range(start + 1, stop)
        ],
        "valid": [
            (user, train.items[max(train.starts[user], train.ends[user] - length) : train.ends[user]], item)
            for user, item in zip(found.row.tolist(), found.col.tolist(), strict=True)
        ],
    }
    for name, of in rows.items():
        lines = (f"{user}\t{' '.join(map(str, before.tolist()))}\t{item}\n" for user, before, item in of)
        header = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
        (folder / f"unblur.{name}.inter").write_text(header + "".join(lines))
    _write_items(dataset, folder)


def _write_items(dataset: Dataset, folder: Path) -> None:
    items = "".join(f"{item}\n" for item in range(dataset.n_items))
    (folder / "unblur.item").write_text("item_id:token\n" + items)
