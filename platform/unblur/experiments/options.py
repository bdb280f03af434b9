"""Options of the experiments; their fields are the command line's flags."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import tyro
from pydantic import Field, model_validator

from unblur.data.dataset import HistoryName
from unblur.data.presets import history_of, resolve
from unblur.data.request import ColumnFlags, DataRequest, FilterFlags
from unblur.evaluation.protocol import GIVEN, VALIDATIONS, EvaluationProtocol
from unblur.experiments.early import check_names
from unblur.options import Listed, Options, Topic
from unblur.registry import known, modules

if TYPE_CHECKING:
    from unblur.running.work import Trainer  # late: help alone need not wait for torch

Gpus = Annotated[float, Field(ge=0)] | Literal["auto"]


MODELS = modules("model", "unblur.models")
"""For --help, which need not wait for the models' own imports."""


def _metrics() -> list[str]:
    from unblur.evaluation.measuring import objectives  # late: help alone asks

    return objectives()


class DataPlaces(Options):
    """Where data are read and kept."""

    topic = Topic.PLACES

    data_dir: Path | None = None
    """Where raw files lie or are downloaded to [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""
    storage: str = "./unblur-runs"
    """Folder or s3://bucket/prefix for prepared data, checkpoints and results."""


class StorageFlags(DataPlaces):
    """Places that are read and written."""

    topic = Topic.PLACES

    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]."""


class RequestFlags(Options):
    """Which data; an unknown name is refused before anything heavy is loaded."""

    topic = Topic.DATA

    data: DataRequest = Field(default_factory=DataRequest)

    @model_validator(mode="after")
    def _known_data(self) -> Self:
        resolve(self.data)
        return self


class DataFlags(RequestFlags):
    """On which data a model is trained and tested, and what it sees at the test."""

    topic = Topic.DATA

    history: HistoryName | None = None
    """What a model sees of a user at the test; candidates are the same [train+valid with leave_one_out, else train]."""

    @property
    def test_history(self) -> HistoryName:
        """`history`, or what the split implies."""
        return self.history or history_of(self.data)

    @property
    def protocol(self) -> EvaluationProtocol:
        """How the model is tested."""
        return EvaluationProtocol.of(self.data, self.test_history)


class ClusterFlags(Options):
    """What each training gets of the cluster."""

    topic = Topic.COMPUTE

    trainer: Literal["auto", "local", "ray"] = "auto"
    """local: in place, in a process that the next training takes over; ray: on Ray Train workers, which cost each
    training ten seconds or more; auto: ray for several workers or GPUs."""
    workers_per_trial: int = Field(1, ge=1)
    """Ray Train workers of one training; they share each batch."""
    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of each worker."""
    gpus_per_worker: Gpus = "auto"
    """GPUs of each worker; fractions share one. auto: none without GPUs and for models in closed form, one for each of
    several workers, else the share that the memory estimate asks for."""
    concurrency: int | None = Field(None, ge=1)
    """Trainings at the same time; left out, as many as the cluster's resources allow."""
    trial_timeout: float | None = Field(None, gt=0)
    """Seconds without a report after which a training is given up and its process killed [never]."""
    dry_run: bool = False
    """Say what would be done, and stop."""

    def trainer_for(self, gpus: float) -> "Trainer":
        """Where a training runs whose workers get so many GPUs each."""
        if self.trainer != "auto":
            return self.trainer
        return "ray" if self.workers_per_trial > 1 or gpus else "local"


class RunOptions(DataFlags, StorageFlags, ClusterFlags):
    """What a search and the training of one configuration have in common."""

    topic = Topic.TRAINING

    model: Annotated[str, Listed(MODELS.names)] = "cfg_diffrec"
    """The recommender."""
    epochs: int = Field(100, ge=1)
    """Epochs of training at most."""
    eval_every: int = Field(5, ge=1)
    """Epochs between two evaluations on the validation set."""
    patience: int = Field(20, ge=1)
    """Stop a training after so many epochs without a better validation value."""
    metric: Annotated[str, Listed(_metrics)] = "ndcg@10"
    """The validation metric that decides."""
    seeds: int = Field(5, ge=1, le=100)
    """How many times the configuration is trained for the test."""
    seed: int = Field(0, ge=0)
    """Seed of the search and of every training; the data have one of their own."""
    summary: Path | None = None
    """Write the result to this file as JSON."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_names(self.model, self.metric, getattr(self, "search_space", None))
        return self


class SearchOptions(RunOptions):
    """Searches a model's hyperparameters, trains the best with several seeds, tests it once and registers it."""

    topic = Topic.SEARCH

    model: Annotated[str, Listed(MODELS.names)] = "cfg_diffrec"
    """The recommender; several, such as cfg_diffrec,diffrec,ease, get a search each with the same budget."""
    search_space: Path | None = None
    """YAML file, of the working directory or else of the package [search_spaces/<model>.yaml]."""
    trials: int = Field(30, ge=1)
    """Finished trials of each model, those of earlier starts included."""
    time_budget: float | None = Field(None, gt=0)
    """Seconds of each model's search, in all starts together, after which no further trial is begun and running ones
    are ended."""
    sweep_inference: Literal["on", "off"] = "on"
    """Score each trained network with a grid of the parameters that the space marks `stage: inference`, and keep the
    best; off: draw them as any other."""
    validation: Annotated[str, known(VALIDATIONS), Listed(VALIDATIONS.described)] = GIVEN
    """What the search selects by. Final runs train on the whole of train for the epochs, and with the settings of
    inference, that it chose; with given they stop on validation themselves."""
    validation_users: int | None = Field(None, ge=1)
    """Pruning and early stopping look at so many users, drawn once, the same for every trial; each trial's final value
    is of all users [all]."""
    study_url: str | None = None
    """Database of the study, such as postgresql://user@host/db [SQLite in the storage folder]."""
    check: bool = False
    """Try every connection and permission that a search needs, tell what is wrong, and stop."""
    fresh: bool = False
    """Start a new study instead of resuming; the old one is kept. Interrupted and run again, it goes on with the new
    one until that has a result."""


class TrainOptions(RunOptions):
    """Trains one configuration, tests it once per seed and registers it: no search."""

    topic = Topic.TRAINING

    seeds: int = Field(1, ge=1, le=100)
    """How many times the configuration is trained."""
    set: list[str] = Field(default_factory=list)
    """A parameter of the model, such as --set lr=1e-3 or --set dims=[200,600]; may be repeated."""
    config: Path | None = None
    """YAML or JSON file of the model's parameters; --set overrides it."""
    from_trial: int | None = Field(None, ge=0)
    """In place of a file: the parameters of this trial of the model's newest search on the data; --set overrides
    them."""


class RefitOptions(RequestFlags, StorageFlags, ClusterFlags):
    """Trains a registered model's configuration once more, on all data, the test part included, and tests nothing."""

    topic = Topic.COMMAND

    model: str | None = None
    """models:/NAME@ALIAS or models:/NAME/VERSION [the dataset's champion]."""


class ReproduceOptions(StorageFlags, ClusterFlags):
    """Trains rows of the papers' tables and writes ours beside the papers'. Run again, it goes on where it was."""

    topic = Topic.COMMAND

    dataset: str
    """Dataset of the rows; several separated by commas."""
    model: str | None = None
    """Only the rows of these models, or with these names, separated by commas [all]."""
    seeds: int = Field(5, ge=1, le=100)
    """How many times each row is trained."""
    output: Path = Path("reproduction.md")
    """The comparison as Markdown; the same as CSV lies beside it."""


class AblateOptions(StorageFlags, ClusterFlags):
    """Trains every cell of a study and scores each at every point of its sweep. Run again, it goes on where it was."""

    topic = Topic.COMMAND

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
    """The results as a page with plots; beside it lie its tables as Markdown, every figure as CSV, and the curves as
    SVG [<study>.html]."""


class EvaluateOptions(DataFlags, StorageFlags):
    """Tests a registered model or a saved one; the dataset must be the one it was trained on."""

    topic = Topic.COMMAND

    model: str | None = None
    """models:/NAME@ALIAS, models:/NAME/VERSION, or the folder of a saved model [the dataset's champion]."""
    summary: Path | None = None
    """Write the metrics to this file as JSON."""


class DashboardOptions(Options):
    """Shows what searches have left: MLflow's pages and Optuna's, on free ports of this machine."""

    topic = Topic.PLACES

    storage: str = "./unblur-runs"
    """Folder in which searches keep their studies."""
    study_url: str | None = None
    """Database of the studies, such as postgresql://user@host/db [SQLite in the storage folder]."""
    tracking_uri: str | None = None
    """MLflow's tracking store [MLFLOW_TRACKING_URI, else ./mlflow.db]; of a server only the links are printed."""


class PrepareOptions(RequestFlags, DataPlaces):
    """Finds or downloads a dataset, filters and splits it, and says what was done."""


class DescribeOptions(ColumnFlags, FilterFlags):
    """Looks at a file of your own, says what it is, and writes a description that every command takes as --dataset."""

    topic = Topic.COMMAND

    file: tyro.conf.Positional[str]
    """A table as text (CSV and the like, also .gz) or Parquet: a path, https:// or s3://."""
    titles: str | None = None
    """A table with a title for each item, shown with recommendations."""
    out: Path | None = None
    """The description; its name is that of the dataset, and a page with the same lies beside it [<file>.yaml]."""
    data_dir: Path | None = None
    """Where what lies at an address is kept [UNBLUR_DATA_DIR, else ~/.cache/unblur]."""


class RecommendOptions(RequestFlags, StorageFlags):
    """Recommends items to users of a dataset by a registered or saved model, which must have been trained on it."""

    topic = Topic.COMMAND

    history: HistoryName = "train+valid"
    """What the model sees of a user; items of neither part are recommended."""
    model: str | None = None
    """models:/NAME@ALIAS, models:/NAME/VERSION, or the folder of a saved model [the dataset's champion]."""
    users: str | None = None
    """Ids of users, separated by commas [all]."""
    k: int = Field(10, ge=1)
    """How many items each user gets; fewer where less is unseen."""
    exclude: str | None = None
    """Ids of items that nobody is to get, separated by commas."""
    guidance_scale: float | None = Field(None, ge=0)
    """Of a guided diffusion model, from what is popular (0) over the user's taste (1) to more of it [as it was
    selected]."""
    output: Path | None = None
    """Write user, item, title where there are any, rank and score to this .csv or .parquet file [they are printed]."""
