"""The search itself, timed: the same trials one at a time, two at a time, and in a plain loop without Ray or MLflow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console

from unblur.benchmarking.implementations import timed
from unblur.benchmarking.options import BenchmarkOptions
from unblur.benchmarking.result import Search, SearchRun
from unblur.data.dataset import Dataset
from unblur.experiments.context import asked_for, open_session, study_url
from unblur.experiments.options import SearchOptions
from unblur.experiments.recording import ParentRun, Recorder, recorded
from unblur.experiments.search_trials import SearchTrials
from unblur.experiments.study_opening import identity_of
from unblur.files import under
from unblur.models.diffusion import diffrec
from unblur.running.cleanup import DeleteCheckpoints
from unblur.running.cluster import ray_cluster
from unblur.running.execution import Execution
from unblur.running.work import Listener
from unblur.search.space import Choice, SearchSpace
from unblur.search.study import Study
from unblur.seeds import derive
from unblur.training.allocator import keep_freed_memory
from unblur.training.loop import TrainingSchedule, fit
from unblur.training.record import State
from unblur.training.report import Progress

BARE = 3
"""Trainings in the plain loop."""


def measure(options: BenchmarkOptions, dataset: Dataset, console: Console) -> Search:
    """Search `options.trials` trials with one thread each, all of one configuration and a seed of their own."""
    params = {"dims": [options.hidden], "batch_size": options.batch_size, "T": options.T[0]}
    with _threads(1):
        epochs = 2
        for _ in range(2):  # the second time without what a first training costs
            epochs = max(1, round(epochs * options.trial_seconds / _bare(dataset, params, epochs, 0)))
        bare = [_bare(dataset, params, epochs, number) for number in range(BARE)]
    runs = []
    for concurrency in (1, 2):
        # a cluster each: when Tune drops an actor that is just being made, Ray may keep its CPU reserved
        with ray_cluster():
            runs.append(_search(options, params, epochs, concurrency, console))
    one, two = runs
    overhead = one.seconds / one.training_seconds - 1
    return Search(epochs=epochs, runs=runs, bare_seconds=bare, overhead=overhead, speedup=one.seconds / two.seconds)


def _bare(dataset: Dataset, params: dict[str, Any], epochs: int, number: int) -> float:
    model = diffrec.Model(diffrec.Config(**params), dataset.n_users, dataset.n_items, derive("training", 0, number))
    schedule = TrainingSchedule(epochs=epochs, eval_every=epochs)
    keep_freed_memory()  # as every worker does
    return timed(lambda: fit(model, dataset, schedule, lambda _: None))[0]


def _search(
    options: BenchmarkOptions, params: dict[str, Any], epochs: int, concurrency: int, console: Console
) -> SearchRun:
    """One search from the start, recorded in Optuna and MLflow as any, in a folder that is thrown away."""
    clock = Clock()
    with TemporaryDirectory(prefix="unblur-") as folder:
        asked = SearchOptions(
            data=options.data,
            data_dir=options.data_dir,
            model="diffrec",
            epochs=epochs,
            eval_every=epochs,
            trials=options.trials,
            concurrency=concurrency,
            trainer="local",
            storage=folder,
            tracking_uri=f"sqlite:///{folder}/mlflow.db",
        )
        session = open_session(asked, Console(quiet=True))
        space = SearchSpace(model="diffrec", parameters={"lr": Choice(type="choice", values=[1e-3])}, fixed=params)
        study = Study.open(identity_of(session, "diffrec", space), study_url(asked, folder))
        source = SearchTrials(study, options.trials, session.schedule, under(folder, "trials"))
        parent = ParentRun(study.name, "benchmark", "diffrec", {})
        with recorded(session.store, session.data, parent, Console(quiet=True)) as tracker:
            execution = Execution(asked_for(asked), slots=concurrency)
            record = Recorder(tracker, "trial", session.schedule.metric, execution.resources)
            listeners: list[Listener] = [clock, record, DeleteCheckpoints(source.folder)]
            execution.run(source, {"": session.data.dataset}, listeners)
            tracker.finish({}, {})
    run = clock.run(concurrency)
    console.print(f"search, {concurrency} at a time: {run.trials} trials in {run.seconds:.1f} s", markup=False)
    return run


class Clock(Listener):
    """A listener that keeps when trials ended, and how long they say that they trained."""

    def __init__(self) -> None:
        self.made = time.monotonic()
        self.trained: dict[int, float] = {}
        self.ends: dict[int, float] = {}

    def progressed(self, number: int, progress: Progress) -> None:
        self.trained[number] = progress.facts["seconds"]

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self.ends[number] = time.monotonic()

    def run(self, concurrency: int) -> SearchRun:
        """From the moment at which the first training began; what comes before is the start-up."""
        began = min(end - self.trained[number] for number, end in self.ends.items())
        return SearchRun(
            concurrency=concurrency,
            trials=len(self.ends),
            seconds=max(self.ends.values()) - began,
            start_up=began - self.made,
            training_seconds=sum(self.trained.values()),
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
