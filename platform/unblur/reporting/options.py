"""What a person asks of a report; the fields are the command line's flags."""

from pathlib import Path

from unblur.options import Options


class ReportOptions(Options):
    """Writes what MLflow knows of a dataset: leaderboard, verdict, figures."""

    dataset: str = "sample"
    """The dataset, as it was given to the search; of files with one name, that file's studies alone."""
    protocol: str = "clean"
    """Its protocol: clean, noisy_natural or noisy_random."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""
    storage: str = "./unblur-runs"
    """Where the log of the test set's openings lies, beside the prepared data."""
    output: Path | None = Path("report.html")
    """The report, one file that opens offline."""
    markdown: Path | None = None
    """Write verdict and tables to this file as Markdown too."""
