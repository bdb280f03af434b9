"""What a benchmark found: ratios first, then the times behind them, and on which machine."""

import os
import platform
from collections.abc import Mapping

import torch
from pydantic import BaseModel, ConfigDict

from unblur.provenance import memory, processor


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timing(Part):
    """One contestant's times."""

    seconds: list[float]
    median: float
    over_ours: float
    """Median over the rounds of its time over ours: above 1 we are faster."""


class Training(Part):
    """Epochs of training."""

    times: dict[str, Timing]
    share_of_products: float
    """The time of the step's matrix products alone over that of our whole step: 1 would be no overhead at all."""


class Evaluation(Part):
    """Evaluations with T = `steps` and the same weights."""

    steps: int
    times: dict[str, Timing]
    metrics: dict[str, dict[str, float]]
    largest_difference: dict[str, float]
    """Of any metric between each contestant and us."""


class Memory(Part):
    """Peak bytes of one epoch, one evaluation and one checkpoint, above the interpreter with torch loaded."""

    base: int
    peak: int

    @property
    def above(self) -> int:
        return self.peak - self.base


class SearchRun(Part):
    """One search with so many trials at a time."""

    concurrency: int
    trials: int
    seconds: float
    """From the first trial's begin to the last one's end."""
    start_up: float
    """Seconds before that."""
    training_seconds: float
    """Sum over the trials of what they themselves took for training."""

    @property
    def per_hour(self) -> float:
        return 3600 * self.trials / self.seconds


class Search(Part):
    """Searches of the same trials, and the training loop alone."""

    epochs: int
    runs: list[SearchRun]
    bare_seconds: list[float]
    """Of single trainings in a plain loop, without Ray or MLflow."""
    overhead: float
    """One at a time: seconds over the sum of the training times, less 1."""
    speedup: float
    """Trials per hour of two at a time over those of one at a time."""


class Recommending(Part):
    """Recommendations for all users of made data, from a trained model to a Parquet file."""

    model: str
    users: int
    items: int
    k: int
    rows: int
    seconds: float
    training: float
    """Seconds of the epoch before, which are not in `seconds`."""
    bytes: int


class Chains(Part):
    """Reverse chains of a linear denoiser on made data, and the same as maps."""

    model: str
    users: int
    dim: int
    steps: int
    """Of the chain that was run step by step, and the most of the settings."""
    settings: int
    """Guidance scales times numbers of steps."""
    encoding: float
    """Seconds in which all histories are read once, which serves every map."""
    maps: float
    """Seconds in which the maps of all settings are made and applied to everyone."""
    plain: float
    """Seconds of one chain step by step, the histories read."""
    largest_difference: float
    """Of a map from its chain, over the chain's largest number, over all settings."""


class NextItem(Part):
    """Epochs and evaluations of a SASRec, RecBole's beside ours."""

    targets: int
    """Of an epoch: all interactions but the users' first."""
    training: dict[str, Timing]
    evaluation: dict[str, Timing]
    metrics: dict[str, dict[str, float]]
    largest_difference: dict[str, float]
    """Of any metric between each contestant and us, with the same weights."""


class Serving(Part):
    """Single requests to a served model, by clients that each ask one after the other."""

    server: str
    workers: int
    """Processes of the server."""
    clients: int
    requests: int
    seconds: float
    start_up: float
    """Seconds until it answered."""
    p50: float
    p99: float
    """Quantiles of the seconds until an answer."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Machine(Part):
    """Where it was measured. No GPU is used."""

    cpu: str
    cores: int
    memory_bytes: int
    threads: int
    python: str
    torch: str


class Result(Part):
    """All of it."""

    command: str
    dataset: str
    digest: str
    users: int
    items: int
    interactions: int
    hidden: int
    batch_size: int
    machine: Machine
    ratios: dict[str, float]
    training: Training | None = None
    evaluation: list[Evaluation] = []
    memory: Memory | None = None
    search: Search | None = None
    recommending: Recommending | None = None
    chains: Chains | None = None
    next_item: NextItem | None = None
    serving: list[Serving] = []


def ratios(
    training: Training | None, evaluation: list[Evaluation], search: Search | None, next_item: NextItem | None = None
) -> dict[str, float]:
    """The few numbers that matter, by a name that says what is over what."""
    found: dict[str, float] = {}
    if training:
        found |= {f"training: {name} / ours": value for name, value in _others(training.times).items()}
    for each in evaluation:
        found |= {f"evaluation, T = {each.steps}: {name} / ours": v for name, v in _others(each.times).items()}
    if next_item:
        found |= {f"SASRec, training: {name} / ours": v for name, v in _others(next_item.training).items()}
        found |= {f"SASRec, evaluation: {name} / ours": v for name, v in _others(next_item.evaluation).items()}
    if search:
        found["search, one at a time: overhead over training"] = search.overhead
        found["search, two at a time: throughput over one"] = search.speedup
    return found


def _others(times: Mapping[str, Timing]) -> dict[str, float]:
    return {name: timing.over_ours for name, timing in times.items() if name != "ours"}


def machine(threads: int) -> Machine:
    """This one."""
    return Machine(
        cpu=processor(),
        cores=os.cpu_count() or 0,
        memory_bytes=memory(),
        threads=threads,
        python=platform.python_version(),
        torch=torch.__version__,
    )
