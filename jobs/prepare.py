"""Downloads and prepares a dataset, and says what it did."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from unblur import cli
from unblur.data.prepare import prepare
from unblur.data.request import DataRequest


@dataclass(frozen=True)
class Options:
    """Downloads and prepares a dataset."""

    data: DataRequest = field(default_factory=DataRequest)
    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: Path = Path("unblur-runs")
    """Where prepared data are kept."""


def main(options: Options) -> None:
    """Prepares what the flags ask for and prints the report."""
    prepared = prepare(options.data, options.data_dir, options.storage)
    console = Console(soft_wrap=True, highlight=False)
    for line in prepared.report:
        console.print(line, markup=False)
    console.print(f"digest {prepared.digest}", markup=False)
    console.print(f"in {prepared.folder}", markup=False)


if __name__ == "__main__":
    cli.run(main, Options)
