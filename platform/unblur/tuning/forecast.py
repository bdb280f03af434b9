"""What a run will do, said before it does it."""

import random
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from unblur import models
from unblur.data.split import Split
from unblur.models.base import TrainableRecommender
from unblur.tuning.janitor import projected
from unblur.tuning.options import SearchOptions
from unblur.tuning.parameters import Choice, FloatRange, IntRange, SearchSpace
from unblur.tuning.session import Session

DRAWS = 60


def announce(session: Session, space: SearchSpace, concurrency: int, console: Console) -> None:
    """Print the data, the space, where trials will run and what memory one needs at most."""
    options, resources, facts = session.options, session.resources, session.prepared.facts
    console.print(
        f"data {session.dataset} ({options.data.protocol}): train {facts.train:,}, valid {facts.valid:,}, "
        f"test {facts.test:,} (locked); digest {session.prepared.digest[:12]}",
        markup=False,
    )
    if space.parameters:
        console.print(_table(space))
    if space.fixed:
        console.print("fixed: " + ", ".join(f"{name}={value}" for name, value in space.fixed.items()), markup=False)
    what = f"{options.trials} trials, then " if isinstance(options, SearchOptions) else ""
    each = f"{resources.workers} worker(s) of {resources.cpus:g} CPU and {resources.gpus:g} GPU"
    console.print(
        f"{what}{options.seeds} seed(s) of at most {options.epochs} epochs; {concurrency} at a time, each on {each}; "
        f"trainer {session.trainer()}, retrains {session.trainer(final=isinstance(options, SearchOptions))}",
        markup=False,
    )
    memory, weights = largest(space, session.split)
    disk = projected(weights, max(concurrency, 1), options.seeds)
    console.print(f"memory of one: up to {gigabytes(memory)}; on the disk: up to {gigabytes(disk)}", markup=False)


def largest(space: SearchSpace, split: Split) -> tuple[int, int]:
    """Estimated peak bytes, and bytes of the weights, of the largest of some random configurations of the space."""
    rng = random.Random(0)
    drawn = [dict(space.fixed)] if not space.parameters else []
    drawn += [space.assemble(lambda _, parameter: parameter.sample(rng)) for _ in range(DRAWS * bool(space.parameters))]
    memory, weights = zip(*(sizes(space.model, params, split) for params in drawn), strict=True)
    return max(memory), max(weights)


def sizes(name: str, params: dict[str, Any], split: Split) -> tuple[int, int]:
    """Estimated peak bytes, and bytes of the weights, of one configuration, without allocating them."""
    config = models.configure(name, params, "search space")
    with torch.device("meta"):
        model = models.model_class(name)(config, split.n_users, split.n_items)
    tensors = model.state_dict().values() if isinstance(model, TrainableRecommender) else []
    return model.footprint(split), sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


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
