"""Names in MLflow: every tag, metric prefix and number rule of the runs and registered models, once."""

from collections.abc import Mapping
from typing import Any

from unblur.energy import ASSUMED, LIMIT, RATED
from unblur.training.record import State
from unblur.training.report import Progress

# Tags of every run
STUDY = "unblur.study"
"""The study that a run belongs to: the same for its parent and all children."""
PARENT = "mlflow.parentRunId"
"""MLflow's own, of children."""
KIND = "unblur.kind"
"""`study` or `ablation` (parents), `trial`, `final` or `cell`; SUPERSEDED once its number was given again."""
SUPERSEDED = "superseded"
VERSION = "unblur.version"
"""Of the package that began the run, and of each that went on with it, newest last (`0.2.0, 0.3.0`)."""
COMMIT = "unblur.commit"
"""Of the checkouts that these lay in; empty outside one."""
NUMBER = "unblur.number"
STATE = "unblur.state"
"""Of every run: a State."""
REASON = "unblur.reason"
"""Why it failed or was interrupted; the first line of it."""

# Tags of parents
NOTE = "mlflow.note.content"
"""MLflow's own: the description, in Markdown."""
USER, SOURCE, SOURCE_TYPE = "mlflow.user", "mlflow.source.name", "mlflow.source.type"
SOURCE_COMMIT = "mlflow.source.git.commit"
"""MLflow's own, of its columns User, Source and Version."""
LIBRARIES = "unblur.libraries"
"""Versions of Python and of what computes."""
MACHINE = "unblur.machine"
"""Of the driver: system, cores, processor, memory."""
PURPOSE = "unblur.purpose"
"""`search`, or `training` of one configuration."""
STARTS = "unblur.starts"
"""Of a search: how many starting configurations its space has. They are its first trials."""
ABLATION = "unblur.ablation"
"""Name of the study file, of an ablation."""
MODEL = "unblur.model"
PROTOCOL = "unblur.protocol"
COMMAND = "unblur.command"
DATASET_DIGEST = "unblur.dataset_digest"
DATA_REQUEST = "unblur.data_request"
"""The flags of the data, as JSON; of registered models too."""
HISTORY = "unblur.history"
VALIDATION = "unblur.validation"
"""What the search selected by."""
METRICS = "unblur.metrics"
"""How the metrics are defined."""
MODEL_URI = "unblur.model_uri"
TEST_OPENINGS = "unblur.test_openings"
"""Why the test set of these data was opened, each time."""
CHAMPION = "unblur.champion"
"""What was decided about the registered model, in a sentence."""

# Tags of children
INFERENCE = "unblur.inference"
"""The settings of inference, chosen on validation, that a trial or final run has its value with."""
DIVERGED = "unblur.diverged"
"""How the training ended, its loss or scores no longer finite; its best epoch counts."""
NOT_FINITE = "unblur.not_finite"
"""Metrics that MLflow cannot store as points."""
CONFIGURATION = "unblur.configuration"
"""The trial whose configuration a final run has; of a search, the one whose final runs were tested."""
SEED = "unblur.seed"
"""Which of the seeds a final run has, from 0 on."""

# Tags of registered models, beside MODEL, DATASET_DIGEST, STUDY and CHAMPION
CHALLENGE = "unblur.challenge"
"""Of a version: which challenge of the champion it was, from 1 on. Of the model: how many there were."""
SEEDS = "unblur.seeds"
"""How many final runs the values on validation are the means of."""
EPOCHS = "unblur.epochs"
"""For how many epochs it was trained; of a parent, after how many its best seed was best."""
REFITTED_FROM = "unblur.refitted_from"
"""Of one that was trained on all data: the tested version of its configuration."""
DATASET = "unblur.dataset"
PARAMS = "unblur.params"
"""All parameters, those of inference included; of a parent, the best ones."""
WEIGHTS = "unblur.weights"
"""Digest of the saved files."""
CONTENT = "unblur.content"
"""Digest of all that is registered: weights, catalogue and code."""

STATUS = {
    State.RUNNING: "RUNNING",
    State.COMPLETE: "FINISHED",
    State.PRUNED: "FINISHED",
    State.FAIL: "FAILED",
    State.INTERRUPTED: "KILLED",
}
"""MLflow's word for each state. It has none for pruned, which is no failure; the tag STATE says what it is."""
BEFORE_TAGS = {"FINISHED": State.COMPLETE, "FAILED": State.FAIL, "KILLED": State.PRUNED}
"""What ended runs are that have no tag STATE, of versions that gave it to studies alone."""
FACTS = {
    "loss": "train/loss",
    "seconds": "train/seconds",
    "efficiency": "train/efficiency",
    "parameters": "model/parameters",
    "memory_mib": "train/memory_mib",
    **{name: f"power/{name}" for name in (RATED, ASSUMED, LIMIT)},
}
"""The metric of each fact that a training reports beside its validation metrics."""
CORE_HOURS, GPU_HOURS, KWH = "spent/core_hours", "spent/gpu_hours", "spent/kwh"
"""Hours that a training measured, times the CPUs or GPUs that it had; the energy, by estimate."""
SPENT = (FACTS["seconds"], CORE_HOURS, GPU_HOURS, KWH)
"""What trainings cost: on children their own, on parents the sum."""
KG_CO2E = "spent/kg_co2e_world"
"""Of parents: CO2 equivalents of the energy, at the world's average."""


def artefacts(kind: str, name: str) -> str:
    """On parents: what it took, by a name of SPENT, to make what all trainings of that kind share, in this study or an
    earlier one."""
    return f"artefacts/{kind}_{name.rpartition('/')[2]}"


def valid(metric: str) -> str:
    """The metric on validation, of an epoch."""
    return f"valid/{metric}"


def best(metric: str) -> str:
    """The best validation value so far, which a search maximises."""
    return f"valid/best_{metric}"


def swept(metric: str) -> str:
    """The metric on validation at the point of a cell's sweep that is best there."""
    return f"swept/{metric}"


def test(metric: str) -> str:
    """The metric on the test set: of a final run or cell, or of a study as the mean over seeds."""
    return f"test/{metric}"


test.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for one


def inference(setting: str) -> str:
    """A setting of inference that is a number, as the metric that it is shown as."""
    return f"inference/{setting}"


def popularity(metric: str) -> str:
    """What recommending the most popular items scores on the test set."""
    return f"test/popularity/{metric}"


def deviation(name: str) -> str:
    """The sample standard deviation over seeds of a metric under its name in MLflow."""
    return f"{name}_std"


def over_popularity(metric: str) -> str:
    """How far a study's mean on the test set is above what recommending the most popular items scores."""
    return f"test/over_popularity/{metric}"


def tested(metrics: Mapping[str, float]) -> dict[str, float]:
    """What the test of a final run found, among all its metrics."""
    prefix = test("")
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def state(status: str, tags: Mapping[str, str]) -> State:
    """What a run is, by MLflow's status and its tags."""
    return State(tags[STATE]) if STATE in tags else BEFORE_TAGS.get(status, State.RUNNING)


def of_progress(progress: Progress, metric: str) -> dict[str, float]:
    """The numbers of a report; `metric` is the one that decides."""
    named = {valid(name): value for name, value in progress.metrics.items()}
    if progress.best is not None:
        named[best(metric)] = progress.best
    named |= {FACTS[name]: value for name, value in progress.facts.items()}
    settings: Mapping[str, Any] = progress.inference
    named |= {inference(name): value for name, value in settings.items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in named.items()}


PER_CONFIGURATION = 100
"""Seeds of a configuration at most."""


def final_number(configuration: int, seed: int) -> int:
    """The number of a final run, so that those of another best trial get runs of their own."""
    return configuration * PER_CONFIGURATION + seed


def final_tags(number: int) -> dict[str, int]:
    """Whose configuration the final run of this number has, and which of the seeds."""
    configuration, seed = divmod(number, PER_CONFIGURATION)
    return {CONFIGURATION: configuration, SEED: seed}
