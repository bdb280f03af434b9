"""What a person asks of a reproduction or an ablation; the fields are the command line's flags."""

from pathlib import Path

from pydantic import Field

from unblur.experiments.options import Gpus
from unblur.options import Options


class ReproduceOptions(Options):
    """Trains rows of the papers' tables and writes ours beside the papers'. Run again, it goes on where it was."""

    dataset: str
    """Dataset of the rows; several separated by commas."""
    model: str | None = None
    """Only the rows of these models, or with these names, separated by commas [all]."""
    seeds: int = Field(5, ge=1, le=100)
    """How many times each row is trained."""
    output: Path = Path("reproduction.md")
    """The comparison as Markdown; the same as CSV lies beside it."""
    concurrency: int | None = Field(None, ge=1)
    """Trainings at the same time; left out, as many as the cluster's resources allow."""
    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of each training."""
    gpus_per_worker: Gpus = "auto"
    """GPUs of each training; fractions share one. auto: the share that the memory estimate asks for."""
    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: str = "./unblur-runs"
    """Folder or s3://bucket/prefix for prepared data, checkpoints and models."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""
    dry_run: bool = False
    """Say which rows would be run, and stop."""


class AblateOptions(Options):
    """Trains every cell of a study and scores each at every point of its sweep. Run again, it goes on where it was."""

    study: str
    """A file, or the name of one in search_spaces/ablations."""
    dataset: str | None = None
    """Another dataset than the study's."""
    seeds: int | None = Field(None, ge=1)
    """Another number of seeds than the study's."""
    at_most: int | None = Field(None, ge=1)
    """Train at most so many cells now, each seed counting; the rest the next time."""
    final: bool = False
    """Test every finished cell too, once; without it the test set stays locked."""
    output: Path | None = None
    """The results as a page with plots; its tables as Markdown and every figure as CSV lie beside it [<study>.html]."""
    concurrency: int | None = Field(None, ge=1)
    """Trainings at the same time; left out, as many as the cluster's resources allow."""
    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of each training."""
    gpus_per_worker: float = Field(0, ge=0)
    """GPUs of each training; fractions share one."""
    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: str = "./unblur-runs"
    """Folder or s3://bucket/prefix for prepared data, checkpoints and models."""
    dry_run: bool = False
    """Say what would be trained and how long it may take, and stop."""
