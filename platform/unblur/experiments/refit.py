"""`unblur refit`: a tested configuration trained once more, on all data there are: for use, and for no figure."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed, UserError
from unblur.experiments.artefacts import SharedArtefacts, needed
from unblur.experiments.context import SILENT, absolute, check_writable
from unblur.experiments.evaluate import refuse_others
from unblur.experiments.forecast import plan_execution
from unblur.experiments.options import RefitOptions
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.experiments.progress import Progress
from unblur.files import download, under
from unblur.running.cluster import ray_cluster
from unblur.running.execution import Execution
from unblur.running.task_list import TaskList
from unblur.running.work import Assignment
from unblur.search.lock import alone
from unblur.seeds import derive
from unblur.tracking import names
from unblur.tracking.client import Store, connect
from unblur.tracking.registry import REFIT, Registered, load_registered, register
from unblur.training.cost import estimate
from unblur.training.loop import TrainingSchedule
from unblur.training.task import MODEL, Task

SEED = 0


@dataclass(frozen=True)
class RefitResult:
    """A model that was trained on all data."""

    uri: str
    """In the registry."""
    of: str
    """The tested version of its configuration."""
    model: str
    epochs: int
    interactions: int
    """That it was trained on."""


def refit(options: RefitOptions, console: Console = SILENT) -> RefitResult | None:
    """Train the configuration of a registered model on train, validation and test, for as many epochs as were best on
    validation, and register it by the alias `refit`; None after a dry run.

    Nothing is tested: what is known of it are the figures of the model that it is made from, which was trained on less.
    The same call goes on where it was. UserError for a model of other data.
    """
    root = absolute(options.storage)
    check_writable(root)
    store = connect(options.tracking_uri)
    data = prepare_data(options.data, root, options.data_dir, console)
    tested = load_registered(store, options.model or data.name)
    refuse_others(tested, data, {data.digest})
    task = _task(tested, data)
    if task.outcome is None or options.dry_run:
        with ExitStack() as stack:
            stack.enter_context(alone(f"refit {Path(task.folder).name}", root, data.local))
            stack.enter_context(ray_cluster())
            costs = [estimate(task.model, task.params, data.dataset)]
            execution, gpus = plan_execution(options, [task.model], costs)
            _announce(tested, task, gpus, console)
            if options.dry_run:
                console.print("dry run: nothing was started")
                return None
            whole = data.open_test(f"refit of {tested.version}: trained on it, nothing tested").everything()
            _train(task, whole, execution, root, console)
    return RefitResult(
        uri=_registered(store, tested, task, data),
        of=tested.version,
        model=task.model,
        epochs=task.schedule.epochs,
        interactions=_interactions(data),
    )


def _interactions(data: PreparedData) -> int:
    return data.facts.train + data.facts.valid + data.facts.test


def _task(tested: Registered, data: PreparedData) -> Task:
    epochs = tested.tags.get(names.EPOCHS)
    if epochs is None:
        raise UserError(
            f"{tested.version} does not say for how many epochs it was trained, as those that earlier versions "
            "registered: search or train it again with --fresh or another --seed"
        )
    schedule = TrainingSchedule(epochs=int(epochs), patience=int(epochs), blind=True)
    model, params = tested.tags[names.MODEL], json.loads(tested.tags[names.PARAMS])
    task = Task(model=model, params=params, seed=derive("refit", SEED), schedule=schedule, folder="", keep=True)
    name = sha256(f"{task.digest} {data.digest}".encode()).hexdigest()[:16]
    return task.model_copy(update={"folder": under(data.root, "refits", data.name, name)})


def _announce(tested: Registered, task: Task, gpus: str, console: Console) -> None:
    long = f"{task.schedule.epochs} epochs" if models.trained_by_gradient(task.model) else "at once"
    text = f"{task.model} as {tested.version} is, trained on all data, {long}; nothing is tested"
    for line in filter(None, (text, gpus)):
        console.print(line, markup=False)


def _train(task: Task, whole: Dataset, execution: Execution, root: str, console: Console) -> None:
    source = TaskList([Assignment(0, task.params, task)], lambda _: task.outcome is not None, task.schedule.metric)
    shared = SharedArtefacts(whole, needed(task.model, [task.params]), SEED, root).made(execution)[0]
    with Progress(console, 1, "", task.schedule.metric, kind="refit", epochs=task.schedule.epochs) as progress:
        execution.run(source, {"": shared}, [progress])
    if source.failures:
        raise RunFailed(f"{source.failures[0].splitlines()[0]}. The same command tries again")


def _registered(store: Store, tested: Registered, task: Task, data: PreparedData) -> str:
    tags = {
        names.MODEL: task.model,
        names.PARAMS: task.params,
        names.DATASET_DIGEST: data.dataset.digest_of_all,
        names.DATA_REQUEST: data.request.model_dump_json(),
        names.SEEDS: 1,
        names.EPOCHS: task.schedule.epochs,
        names.REFITTED_FROM: tested.version,
    }
    told = (
        f"{task.model} on all data of {data.name} (train, validation and test: {_interactions(data):,} interactions), "
        f"with the configuration and the epochs of {tested.version}. Nothing of it was tested: the figures of that one "
        "are those of a model trained on less."
    )
    with TemporaryDirectory(prefix="unblur-") as scratch:
        folder = download(under(task.folder, MODEL), Path(scratch))
        items = data.dataset.items.tolist()
        return register(store, folder, data.name, items, tested.run_id, tags, dict, None, told, REFIT)
