"""`jobs/ablate.py`: every cell of an ablation with every seed, as tasks of the engine, recorded in MLflow."""

from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from unblur.data.request import DataRequest, name_of
from unblur.errors import UserError, unknown
from unblur.evaluation.measuring import parse_metric
from unblur.experiments.ablation import NEWEST, Ablation, load_ablation
from unblur.experiments.ablation_run import ARTEFACT_SEED, AblationResult, AblationRun, Changed, Datasets
from unblur.experiments.artefacts import addresses, needed
from unblur.experiments.cells import CellRun, cell_run
from unblur.experiments.context import SILENT, absolute, check_writable
from unblur.experiments.options import AblateOptions
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.experiments.winners import Winners
from unblur.files import under
from unblur.models import configure
from unblur.models.needs import REFUSALS, refuse_unmet
from unblur.parts import ORDER
from unblur.resources import named
from unblur.running.cluster import ray_cluster
from unblur.search.lock import alone
from unblur.seeds import derive
from unblur.tracking.client import connect
from unblur.training.loop import TrainingSchedule
from unblur.training.task import Task


def ablate(options: AblateOptions, console: Console = SILENT, changed: Changed = lambda _: None) -> AblationResult:
    """Train and score the cells that are not done; UserError before anything is begun.

    A cell that cannot be trained does not keep the others from it; `AblationResult.check` raises. The same call goes on
    where it was, also after a death. Two drivers of one study exclude each other.
    """
    study = asked_for(options)
    root = absolute(options.storage)
    check_writable(root)
    store = connect(options.tracking_uri)
    datasets = _prepared(study, root, options.data_dir, console)
    first = next(iter(datasets.values()))
    winners = Winners(store, first, parse_metric(study.metric), console)
    study = study.replaced(winners.resolved)
    _refuse_unmet(study, datasets)
    runs = cell_runs(study, datasets, under(root, "ablations", name_of(study.dataset)))
    ablation = AblationRun(study, runs, datasets, root, console, changed)
    with ExitStack() as stack:
        stack.enter_context(ray_cluster())
        execution = ablation.schedule(options)
        if options.dry_run:
            console.print("dry run: nothing was started")
            return ablation.result({})
        stack.enter_context(alone(f"ablation {study.name}", root, first.local))
        tracker = stack.enter_context(ablation.recorded(store))
        changed(ablation.result({}))
        failed = ablation.train(execution, tracker, options.at_most)
        if options.final:
            failed |= ablation.test(execution, tracker)
        result = ablation.result(failed)
        ablation.conclude(tracker, result)
    return result


def load_study(name: str) -> Ablation:
    """The study in a file, or of that name in search_spaces/ablations; UserError lists those that there are."""
    if Path(name).suffix in (".yaml", ".yml"):
        return load_ablation(Path(name))
    known = named("search_spaces/ablations")
    if name not in known:
        raise unknown("ablation", name, known)
    return load_ablation(known[name])


def asked_for(options: AblateOptions) -> Ablation:
    """The study with the dataset and seeds of the options."""
    study = load_study(options.study)
    others = {"dataset": options.dataset, "seeds": options.seeds}
    return study.model_copy(update={name: value for name, value in others.items() if value is not None})


def cell_runs(study: Ablation, datasets: Datasets, folder: str) -> list[CellRun]:
    """Every cell with every seed; all cells share the seeds, so that they can be compared pair by pair."""
    schedule = TrainingSchedule(
        epochs=study.epochs,
        eval_every=study.eval_every,
        patience=study.patience,
        metric=parse_metric(study.metric),
    )
    runs: list[CellRun] = []
    for cell, seed in study.trainings():
        task = Task(
            model=cell.model,
            params=dict(cell.params),
            seed=derive("ablation", 0, seed),
            schedule=schedule,
            folder=folder,
            keep=True,
        )
        digest = datasets[cell.data].digest
        learned = addresses(needed(cell.model, [cell.params]), digest, ARTEFACT_SEED, seed)
        runs.append(cell_run(len(runs), cell, seed, task, {"data": digest, **learned}))
    return runs


def _prepared(study: Ablation, root: str, data_dir: Path | None, console: Console) -> dict[DataRequest, PreparedData]:
    """The data of the cells."""
    requests = dict.fromkeys(cell.data for cell in study.cells())
    return {request: prepare_data(request, root, data_dir, console) for request in requests}


def _refuse_unmet(study: Ablation, datasets: Datasets) -> None:
    """UserError when a cell needs what its data do not have."""
    for cell in study.cells():
        dataset = datasets[cell.data].dataset
        refuse_unmet(configure(cell.model, dict(cell.params), str(cell)), dataset)
        if study.newest and dataset.train_rank is None:
            raise UserError(f"{NEWEST} needs {REFUSALS[ORDER]}")
