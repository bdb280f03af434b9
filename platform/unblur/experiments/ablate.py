"""`jobs/ablate.py`: every cell of a study with every seed, as many at a time as the cluster takes."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from unblur.data import store
from unblur.data.dataset import Dataset
from unblur.data.download import directory
from unblur.data.prepare import prepare
from unblur.data.presets import history_of
from unblur.data.request import DataRequest
from unblur.data.test_set import TestSet
from unblur.errors import RunFailed, UserError, unknown
from unblur.evaluation.measuring import parse_metric
from unblur.experiments import cells
from unblur.experiments.ablation import Ablation, Cell, Measured, load_ablation
from unblur.experiments.cells import Piece, piece, projection
from unblur.experiments.context import absolute, check_writable, ray_cluster
from unblur.experiments.experiment_options import AblateOptions
from unblur.files import under
from unblur.models import configure
from unblur.models.needs import refuse_unmet
from unblur.resources import named
from unblur.running.resources import Resources, concurrency
from unblur.seeds import derive
from unblur.training.loop import Plan, TrainingFailed
from unblur.training.task import Task

Save = Callable[[Ablation, Sequence[Measured]], None]


def ablate(options: AblateOptions, save: Save, console: Console) -> None:
    """Train and score what is not done, calling `save` with all results so far after each cell.

    UserError before anything is begun; a cell that cannot be trained is told, the others go on, and RunFailed names
    it at the end.
    """
    study = _asked(options)
    root = absolute(options.storage)
    check_writable(root)
    local = directory(None) if "://" in root else Path(root)
    splits = _prepared(study, options.data_dir, local, console)
    for cell in study.cells():
        refuse_unmet(configure(cell.model, dict(cell.params), str(cell)), splits[cell.data])
    pieces = pieces_of(study, splits, under(root, "ablations", Path(study.dataset).stem))
    resources = Resources(1, options.cpus_per_worker, options.gpus_per_worker)
    with ray_cluster():
        places = concurrency(resources, options.concurrency)
        _announce(study, pieces, places, console)
        if options.dry_run:
            console.print("dry run: nothing was started")
            return
        save(study, _results(pieces))
        crew = _Crew(pieces, resources, places, lambda: save(study, _results(pieces)), console)
        left = [each for each in pieces if not each.done("valid")]
        failed = crew.work(cells.train_and_score, left[: options.at_most], splits, crew.trained)
        if options.final:
            untested = [each for each in pieces if each.done("valid") and not each.done("test")]
            locked = {
                data: TestSet.open(f"ablation {study.name}", local, splits[data], history_of(data))
                for data in _data(untested)
            }
            console.print(f"testing {len(untested)} cells", markup=False)
            failed |= crew.work(cells.score_on_test, untested, locked, lambda _: "tested")
    if rest := sum(not each.done("valid") for each in pieces) - len(failed):
        console.print(f"{rest} cells are left: the same command goes on with them", markup=False)
    if failed:
        raise RunFailed("\n".join(f"{name} failed: {reason}" for name, reason in failed.items()))


def _data(pieces: Sequence[Piece]) -> dict[DataRequest, None]:
    """What the pieces are trained on, each once."""
    return dict.fromkeys(each.cell.data for each in pieces)


def load_study(name: str) -> Ablation:
    """The study in a file, or of that name in search_spaces/ablations; UserError lists those that there are."""
    if Path(name).suffix in (".yaml", ".yml"):
        return load_ablation(Path(name))
    known = named("search_spaces/ablations")
    if name not in known:
        raise unknown("ablation", name, known)
    return load_ablation(known[name])


def _prepared(study: Ablation, data_dir: Path | None, storage: Path, console: Console) -> dict[DataRequest, Dataset]:
    """What the cells are trained on."""
    splits = {}
    for request in dict.fromkeys(cell.data for cell in study.cells()):
        prepared = prepare(request, data_dir, storage)
        for line in prepared.report:
            console.print(line, markup=False)
        splits[request] = store.load_dataset(prepared.folder)
    return splits


def pieces_of(study: Ablation, splits: Mapping[DataRequest, Dataset], folder: str) -> list[Piece]:
    """Every cell with every seed; all cells share the seeds, so that they can be compared pair by pair."""
    plan = Plan(
        epochs=study.epochs,
        eval_every=study.eval_every,
        patience=study.patience,
        metric=parse_metric(study.metric),
    )
    seeds = [derive("ablation", 0, index) for index in range(study.seeds)]
    return [
        piece(cell, index, _task(cell, seed, plan, folder), splits[cell.data].digest)
        for index, seed in enumerate(seeds)  # a first seed of every cell, then a second: the picture comes early
        for cell in study.cells()
    ]


def _task(cell: Cell, seed: int, plan: Plan, folder: str) -> Task:
    return Task(model=cell.model, params=dict(cell.params), seed=seed, plan=plan, folder=folder, keep=True)


def _asked(options: AblateOptions) -> Ablation:
    study = load_study(options.study)
    others = {"dataset": options.dataset, "seeds": options.seeds}
    return study.model_copy(update={name: value for name, value in others.items() if value is not None})


def _announce(study: Ablation, pieces: Sequence[Piece], places: int, console: Console) -> None:
    done = sum(each.done("valid") for each in pieces)
    points = sum(len(cell.points) for cell in study.cells())
    meaningless = len(study.cells()) * prod(map(len, study.inference.values())) - points
    console.print(f"{study.name}: {study.question.strip()}", markup=False)
    console.print(
        f"{len(study.cells())} cells x {study.seeds} seeds = {len(pieces)} trainings of at most {study.epochs} epochs, "
        f"{points} points per seed" + (f" ({meaningless} have no meaning and are left out)" if meaningless else ""),
        markup=False,
    )
    console.print(f"{done} trainings are done; {places} at a time; {_forecast(pieces, places)}", markup=False)


def _forecast(pieces: Sequence[Piece], places: int) -> str:
    found = projection(pieces, places)
    if found is None:
        return "none is timed yet, so the duration is told after the first (--at-most 1 trains only that)"
    seconds, timed = found
    rest = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
    return f"the rest takes about {rest}, by the mean of the {timed} timed"


def _results(pieces: Sequence[Piece]) -> list[Measured]:
    return [found for each in pieces for part in ("valid", "test") for found in each.measured(part)]


class _Crew:
    """Ray tasks, as many at a time as there are places."""

    def __init__(
        self, all_pieces: Sequence[Piece], resources: Resources, places: int, save: Callable[[], None], console: Console
    ) -> None:
        self.pieces, self.resources, self.places = all_pieces, resources, places
        self.save, self.console = save, console

    def work(
        self,
        act: Callable[[Piece, Any, Resources], None],
        pieces: Sequence[Piece],
        data: Mapping[DataRequest, Any],
        said: Callable[[Piece], str],
    ) -> dict[str, str]:
        """Do `act` for each piece with its data, and say what it did.

        Returns the reasons of those that failed for good, by name.
        """
        shared = {request: ray.put(each) for request, each in data.items()}
        remote = ray.remote(num_cpus=self.resources.cpus, num_gpus=self.resources.gpus)(act)
        waiting, failed = list(pieces), dict[str, str]()
        running: dict[ray.ObjectRef, Piece] = {}
        while waiting or running:
            while waiting and len(running) < self.places:
                begun = waiting.pop(0)
                running[remote.remote(begun, shared[begun.cell.data], self.resources)] = begun
            (ready, *_), _ = ray.wait(list(running))
            ended = running.pop(ready)
            name = f"{ended.cell}, seed {ended.seed}"
            try:
                ray.get(ready)
            except (TrainingFailed, UserError) as error:
                failed[name] = str(getattr(error, "cause", error))  # what Ray wraps
            self.console.print(f"{name}: {failed.get(name) or said(ended)}", markup=False)
            self.save()
        return failed

    def trained(self, ended: Piece) -> str:
        """What a cell's training came to, and how long the others may take."""
        metric = ended.task.plan.metric
        best = max(found.metrics[metric] for found in ended.measured("valid"))
        forecast = _forecast(self.pieces, self.places)
        return f"valid {metric} up to {best:.4f}, {ended.seconds or 0:.0f} s; {forecast}"
