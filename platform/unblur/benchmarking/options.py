"""What a person asks of a benchmark; the fields are the command line's flags."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from unblur.data.request import DataRequest
from unblur.options import Options
from unblur.resources import HOME

TEXTBOOK = HOME / "tests" / "textbook" / "diffrec.py"
"""The plain implementation, where the package is used from its repository."""


class BenchmarkOptions(Options):
    """Measures training, evaluation, search, memory, recommendations and serving of DiffRec on this machine's CPU."""

    data: DataRequest = Field(default_factory=DataRequest)
    hidden: int = Field(1000, ge=1)
    """Hidden units of the network."""
    batch_size: int = Field(400, ge=1)
    """Users in a training batch."""
    steps: list[int] = Field(default_factory=list)
    """A number of diffusion steps T to evaluate with; may be repeated, and training uses the first [5 and 40]."""
    users: int | None = Field(None, ge=1)
    """Measure training and evaluation on so many users only [all]."""
    rounds: int = Field(5, ge=0)
    """How often training and evaluation are timed, all contestants in turn; 0 leaves them out."""
    threads: int = Field(2, ge=1)
    """Threads of training and evaluation; a trial of the search has one."""
    textbook: Path | None = None
    """The plain implementation to compare with [tests/textbook/diffrec.py of the repository; without one it is left
    out]."""
    peer: Literal["recbole"] | None = None
    """A library to compare with, in an environment of its own that is made when there is none."""
    peer_cache: Path = Path("~/.cache/unblur/peers")
    """Where peers' environments are kept."""
    skip_memory: bool = False
    """Leave out the peak memory of training and evaluation, which is measured on all users."""
    trials: int = Field(40, ge=0)
    """Trials of the search that is timed, once one at a time and once two; 0 leaves it out."""
    trial_seconds: float = Field(6.0, gt=0)
    """About how long a trial should take."""
    recommend_users: int = Field(0, ge=0)
    """Time recommendations of 20 of 10,000 items for so many made-up users; 0 leaves it out."""
    chain_users: int = Field(0, ge=0)
    """Time the reverse chains of a linear denoiser for so many made-up users, all guidance scales and numbers of steps
    as maps and one step by step; 0 leaves it out."""
    next_item_rounds: int = Field(0, ge=0)
    """How often an epoch and an evaluation of a SASRec (d 64, the newest 50 items, cross-entropy over all items) are
    timed, RecBole's in turn with --peer; 0 leaves them out."""
    serve_seconds: float = Field(0, ge=0)
    """Serve a trained model with `mlflow models serve` and with Ray Serve, and ask each for so many seconds, by one
    client, by four and by sixteen; 0 leaves it out."""
    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: Path = Path("unblur-runs")
    """Where prepared data are kept."""
    output: Path | None = None
    """Write the result to this file as JSON."""

    @property
    def T(self) -> list[int]:
        """The numbers of steps, or the usual two."""
        return self.steps or [5, 40]

    @property
    def plain(self) -> Path | None:
        """The file of the plain implementation, if there is one."""
        return self.textbook or (TEXTBOOK if TEXTBOOK.exists() else None)
