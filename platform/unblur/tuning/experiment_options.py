"""What a person asks of a reproduction or an ablation; the fields are the command line's flags."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ReproduceOptions(BaseModel):
    """Trains rows of the papers' tables and writes ours beside the papers'. Run again, it goes on where it was."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
    gpus_per_worker: float = Field(0, ge=0)
    """GPUs of each training; fractions share one."""
    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: str = "./unblur-runs"
    """Folder or s3://bucket/prefix for prepared data, checkpoints and models."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""
    dry_run: bool = False
    """Say which rows would be run, and stop."""
