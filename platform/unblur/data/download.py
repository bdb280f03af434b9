"""Finds the raw files of a dataset in the data directory, or fetches them into it."""

import os
from pathlib import Path

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from unblur.data import remote
from unblur.data.presets import Download, Preset
from unblur.data.request import is_remote
from unblur.errors import UserError

DEFAULT = Path("~/.cache/unblur")
TIMEOUT = 30  # seconds without an answer


def directory(data_dir: Path | None) -> Path:
    """The data directory: the argument, else UNBLUR_DATA_DIR, else ~/.cache/unblur."""
    return Path(data_dir or os.environ.get("UNBLUR_DATA_DIR") or DEFAULT).expanduser().absolute()


def local_folder(storage: str) -> Path:
    """The folder of all prepared data: the storage, or the data directory where that is a bucket.

    They are read through a memory map, which wants a disk.
    """
    return directory(None) if "://" in storage else Path(storage).expanduser().absolute()


def find(preset: Preset, data_dir: Path | None) -> tuple[Path, ...]:
    """The raw files of the first form that is complete, downloaded if none is and the preset knows where from.

    Files that are there already are taken as they are; those at an address are fetched when they have changed. Raises
    UserError naming files, folder and page.
    """
    folder = directory(data_dir)
    for form in preset.forms:
        files = tuple(remote.fetched(name, folder) if is_remote(name) else folder / name for name in form)
        if all(file.is_file() for file in files):
            return files
    if preset.download is None:
        raise _missing(preset, folder, "")
    return (_fetch(preset, preset.download, folder),)


def _fetch(preset: Preset, download: Download, folder: Path) -> Path:
    """Downloads to a temporary name beside the target, checks it, and renames it."""
    target = folder / download.file
    pooch.get_logger().setLevel("ERROR")  # the bar says as much
    try:
        with _Bar(target.name) as bar:
            pooch.retrieve(
                download.url,
                known_hash=download.checksum,
                fname=target.name,
                path=target.parent,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT),
            )
    except (OSError, ValueError) as error:
        raise _missing(preset, folder, f"; downloading {download.url} failed: {error}") from error
    return target


def _missing(preset: Preset, folder: Path, reason: str) -> UserError:
    if not preset.page:  # a path
        path = Path(preset.forms[0][-1])
        return UserError(f"{path}: {'is a folder, expected a file' if path.is_dir() else 'no such file'}")
    forms = " or ".join(", ".join(form) for form in preset.forms)
    return UserError(
        f"no raw data in {folder} (--data-dir or UNBLUR_DATA_DIR names another folder){reason}. Get it from "
        f"{preset.page} and put it there as {forms}."
    )


class _Bar:
    """A rich progress bar with the few methods that pooch calls; pooch sets `total` to the number of bytes."""

    def __init__(self, name: str) -> None:
        self.progress = Progress(
            *("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
            console=Console(stderr=True),
        )
        self.task = self.progress.add_task(name, total=None)
        self.total: int | None = None

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def update(self, count: int) -> None:
        self.progress.update(self.task, total=self.total, advance=count)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        self.progress.refresh()
