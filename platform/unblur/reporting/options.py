"""What a person asks of a report; the fields are the command line's flags."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from unblur.options import Options


class ReportOptions(Options):
    """Writes what MLflow knows of a dataset: leaderboard, verdict, figures; of several, what holds over all of them."""

    dataset: str = "sample"
    """The dataset, as it was given to the search; of files with one name, that file's studies alone. Several separated
    by commas get one report: average ranks, diffusion against baselines, validation against test."""
    protocol: str = "clean"
    """Its protocol: clean, noisy_natural, noisy_random or sparse."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""
    storage: str = "./unblur-runs"
    """Where the log of the test set's openings lies, beside the prepared data."""
    output: Path | None = Path("report.html")
    """The report, one file that opens offline."""
    markdown: Path | None = None
    """Write verdict and tables to this file as Markdown too."""
    price_per_core_hour: float | None = Field(None, ge=0)
    """What an hour of a CPU costs you ($), for the cost of the studies [not told]."""
    price_per_gpu_hour: float | None = Field(None, ge=0)
    """What an hour of a GPU costs you ($), beside --price-per-core-hour."""
    country: str | None = None
    """Whose electricity it was, as three letters (ISO 3166) such as DEU, by CodeCarbon's table: pip install
    'unblur[energy]' [the world's average]."""
    tables: Path | None = None
    """Write every table into this folder too, as CSV and as LaTeX."""
    figures: Path | None = None
    """Write every figure into this folder too, as SVG."""

    @property
    def datasets(self) -> list[str]:
        """Each dataset; a file's name may have a comma in it."""
        if Path(self.dataset).is_file():
            return [self.dataset]
        return [name.strip() for name in self.dataset.split(",")]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if "" in self.datasets:
            raise ValueError(f"--dataset {self.dataset}: there is a name missing beside a comma")
        if twice := sorted({name for name in self.datasets if self.datasets.count(name) > 1}):
            raise ValueError(f"--dataset names {', '.join(twice)} more than once")
        return self
