"""Forecast of a run before it begins: its work, memory, disk and time, and how it is spread over the cluster."""

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import Any

import ray
from rich.console import Console
from rich.table import Table

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.experiments.context import Session, asked_for
from unblur.experiments.options import ClusterFlags, RunOptions, SearchOptions
from unblur.experiments.speed import measured
from unblur.formatting import about, counted, gigabytes
from unblur.running.cleanup import projected
from unblur.running.execution import Execution
from unblur.running.gpus import choice, gpu_memory
from unblur.running.ray_train import require_dashboard
from unblur.running.resources import Resources, cluster_nodes, concurrency
from unblur.search.identity import StudyIdentity
from unblur.search.inference_grid import points, settings_of, written
from unblur.search.space import Choice, FloatRange, IntRange, SearchSpace
from unblur.training.cost import Estimate, estimate
from unblur.training.memory import physical_memory

DRAWS = 60


def announce(
    session: Session, identity: StudyIdentity, execution: Execution, drawn: Sequence[Estimate], console: Console
) -> None:
    """Print the data, what is searched and swept, where trainings will run and what one needs at most.

    drawn: the cost of sampled configurations.
    """
    options, data, model = session.options, session.data, identity.model
    console.print(
        f"data {data.name} ({data.request.protocol}): train {data.facts.train:,}, valid {data.facts.valid:,}, "
        f"test {data.facts.test:,}, locked until the end; digest {data.digest[:12]}",
        markup=False,
    )
    _announce_space(identity, options.dry_run, console)
    how = ", by Ray Train" if execution.trainer == "ray" else ""
    console.print(
        f"{plan(options, model)}; {execution.slots} at a time, each on {place(execution.resources)}{how}", markup=False
    )
    memory, disk = max(each.memory for each in drawn), max(each.weights for each in drawn)
    disk = projected(disk, execution.slots, options.seeds)
    console.print(
        f"memory of each: up to {gigabytes(memory)}, and PyTorch's own; on the disk: up to {gigabytes(disk)}; "
        f"{_duration(options, model, execution, drawn)}",
        markup=False,
    )


def plan(options: RunOptions, model: str) -> str:
    """What is trained, in words: `30 trials, then 5 seeds, of at most 100 epochs each`."""
    final = "one final run" if not models.model_class(model).RANDOM else counted(options.seeds, "seed")
    epochs = f", of at most {options.epochs} epochs each" if models.trained_by_gradient(model) else ""
    searched = f"{counted(options.trials, 'trial')}, then " if isinstance(options, SearchOptions) else ""
    return f"{searched}{final}{epochs}"


def place(resources: Resources) -> str:
    """What a training gets, in words: `1 CPU`, `2 workers of 4 CPU and 0.5 GPU`."""
    one = " and ".join(f"{amount:g} {kind}" for kind, amount in resources.per_worker.items())
    return one if resources.workers == 1 else f"{resources.workers} workers of {one}"


def _announce_space(identity: StudyIdentity, whole: bool, console: Console) -> None:
    """What is searched: a line, or the `whole` of it as a table."""
    space, swept = identity.space, identity.swept
    if space.parameters and whole:
        console.print(_table(space))
    elif space.parameters:
        searched = counted(len(space.parameters), "parameter")
        console.print(f"{searched} of {space.model} searched, which --dry-run lists", markup=False)
    if swept:
        tried = written({name: points(parameter) for name, parameter in swept.items()})
        console.print(f"swept on each trained network ({settings_of(swept)} settings at most): {tried}", markup=False)
    if space.fixed:
        console.print("fixed: " + ", ".join(f"{name}={value}" for name, value in space.fixed.items()), markup=False)


def _duration(options: RunOptions, model: str, execution: Execution, drawn: Sequence[Estimate]) -> str:
    """About how long a fit or an epoch takes on a CPU like this one, and all of them together."""
    cpus = execution.resources.cpus
    speed = measured(max(1, int(cpus)))
    seconds = sorted(speed.seconds(each.operations) for each in drawn)
    middle, most = seconds[len(seconds) // 2], seconds[-1]
    what = "an epoch" if models.trained_by_gradient(model) else "a fit"
    whole = about(whole_plan(options, model, execution.slots, middle))
    return f"{what} on {cpus:g} CPU: about {about(middle)}, at most {about(most)}; all trainings: about {whole} at most"


def whole_plan(options: RunOptions, model: str, slots: int, seconds: float) -> float:
    """Seconds of all trainings, an epoch or a fit taking `seconds`, if none is pruned, stops early or is there already.

    What scoring on validation takes is not in it.
    """
    each = seconds * (options.epochs if models.trained_by_gradient(model) else 1)
    final = ceil((options.seeds if models.model_class(model).RANDOM else 1) / slots) * each
    if not isinstance(options, SearchOptions):
        return final
    return min(ceil(options.trials / slots) * each, options.time_budget or inf) + final


def refuse_infeasible(spaces: Iterable[SearchSpace], dataset: Dataset) -> None:
    """UserError when even the smallest configuration of a space needs more memory than this machine has.

    A cluster's nodes may have more than this one, so there each training is held against its own node's.
    """
    if os.environ.get("RAY_ADDRESS") or ray.is_initialized():
        return
    least = {space.model: min(each.memory for each in estimates(space, dataset)) for space in spaces}
    has = physical_memory()
    if too_large := {model: needs for model, needs in least.items() if needs > has}:
        told = ", ".join(f"{model} needs at least {gigabytes(needs)}" for model, needs in too_large.items())
        raise UserError(
            f"by estimate {told} for {dataset.n_users:,} users and {dataset.n_items:,} items, and this machine has "
            f"{gigabytes(has)}: leave the model out (--model), take less data (--min-rating, a smaller dataset), or "
            "run where there is more memory"
        )


def plan_execution(
    options: ClusterFlags, models_run: Iterable[str], drawn: Sequence[Estimate]
) -> tuple[Execution, str]:
    """How trainings of these models are run, and a line on the choice of GPUs; empty when there is nothing to say.

    Ray must be up. drawn: the cost of sampled configurations. UserError when the cluster can give none what it needs.
    """
    resources, why, largest = asked_for(options), "", max(each.memory for each in drawn)
    by_gradient = any(map(models.trained_by_gradient, models_run))
    if options.gpus_per_worker == "auto" and by_gradient:
        gpus, why = choice(resources, largest, cluster_nodes(), gpu_memory)
        resources = replace(resources, gpus=gpus)
    slots = side_by_side(largest, concurrency(resources, options.concurrency))
    trainer = options.trainer_for(resources.gpus)
    if trainer == "ray":
        require_dashboard()
    return Execution(resources, trainer, slots, options.trial_timeout, largest), why


def side_by_side(largest: int, places: int) -> int:
    """How many of `places` trainings the nodes' memory holds at a time; one at least, which may still be small.

    largest: bytes of the largest configuration.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # what Ray found free at its start is divided between these two
    fits = sum(int((node.get("memory", 0) + node.get("object_store_memory", 0)) // largest) for node in nodes)
    return max(1, min(places, fits))


def estimates(space: SearchSpace, dataset: Dataset) -> list[Estimate]:
    """The cost of the sampled configurations of the space."""
    return [estimate(space.model, params, dataset) for params in sampled(space)]


def sampled(space: SearchSpace) -> list[dict[str, Any]]:
    """Some random configurations of the space, always the same ones; its only one if nothing is searched."""
    if not space.parameters:
        return [dict(space.fixed)]
    rng = random.Random(0)
    return [space.assemble(lambda _, parameter: parameter.sample(rng)) for _ in range(DRAWS)]


def _table(space: SearchSpace) -> Table:
    table = Table(title=f"search space of {space.model}", title_justify="left")
    for heading in ("parameter", "values", "when", "stage"):
        table.add_column(heading)
    for name, parameter in space.parameters.items():
        when = ", ".join(f"{other} = {value}" for other, value in parameter.when.items())
        table.add_row(name, _values(parameter), when, parameter.stage)
    return table


def _values(parameter: FloatRange | IntRange | Choice) -> str:
    if isinstance(parameter, Choice):
        return ", ".join(map(str, parameter.values))
    return f"{parameter.low:g} to {parameter.high:g}" + (", log" if parameter.log else "")
