"""The jobs: search, and train one configuration. Each says what it does, does it, and says what is next."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from unblur import models
from unblur.data.dataset import Dataset
from unblur.documents import configured
from unblur.errors import RunFailed, UserError
from unblur.experiments.budget import share_out
from unblur.experiments.context import Session, open_session, study_url
from unblur.experiments.forecast import refuse_infeasible
from unblur.experiments.options import SearchOptions, TrainOptions
from unblur.experiments.results import tell_comparison, write_summary
from unblur.experiments.study_run import search_one, train_one
from unblur.models.needs import REASONS, refuse_unmet, refuse_unserved, unmet
from unblur.resources import find
from unblur.search.inference_grid import without_swept, written
from unblur.search.space import Parameter, SearchSpace
from unblur.search.space_file import load_space


def search(options: SearchOptions, console: Console) -> None:
    """`jobs/tune.py`: search, retrain, test, register. Run again, it goes on where it was.

    Several models get a study each, one after the other, all with the same budget. One that fails does not keep the
    others from being searched; RunFailed names it at the end.
    """
    names = share_out(options)
    spaces = {name: _space(name, options.search_space) for name in names}
    session = open_session(options, console)
    spaces = {name: _served(space, session.dataset, console) for name, space in spaces.items()}
    url = study_url(options, session.root)
    refuse_infeasible(spaces.values(), session.dataset)
    sweep = without_swept if options.sweep_inference == "on" else _all_drawn
    if len(names) > 1:
        limit = f" and {options.time_budget:g} s of search" if options.time_budget else ""
        console.print(
            f"equal budget: each of {len(names)} models gets {options.trials} trials of at most {options.epochs} "
            f"epochs{limit}, then {options.seeds} seed(s): {', '.join(names)}",
            markup=False,
        )
    found: dict[str, dict[str, Any] | None] = {}
    failed: dict[str, str] = {}
    with ExitStack() as cluster:
        for place, (name, space) in enumerate(spaces.items()):
            if len(names) > 1:
                console.rule(f"{name} (model {place + 1} of {len(names)})")
            try:
                found[name] = search_one(_of(session, name), *sweep(space), url, cluster, console)
            except RunFailed as error:
                failed[name] = str(error)
    _conclude(session, {name: each for name, each in found.items() if each}, failed, len(names) > 1, console)


def _conclude(
    session: Session, found: dict[str, dict[str, Any]], failed: dict[str, str], several: bool, console: Console
) -> None:
    if several and found:
        tell_comparison(session, found, console)
    if session.options.summary and found:
        write_summary(session.options.summary, {"models": found} if several else next(iter(found.values())))
    if failed:
        raise RunFailed("\n".join(f"{name}: {reason}" if several else reason for name, reason in failed.items()))


def train(options: TrainOptions, console: Console) -> dict[str, Any] | None:
    """`jobs/train.py`: the end of a search without the search. Returns its summary, None after a dry run."""
    config = configured(models.config_class(options.model), options.set, options.config)
    session = open_session(options, console)
    refuse_unmet(config, session.dataset)
    space = SearchSpace(model=options.model, parameters={}, fixed=config.model_dump(mode="json"))
    refuse_infeasible([space], session.dataset)
    with ExitStack() as cluster:
        summary = train_one(session, space, cluster, console)
    if options.summary and summary:
        write_summary(options.summary, summary)
    return summary


def _of(session: Session, model: str) -> Session:
    return replace(session, options=session.options.model_copy(update={"model": model}))


def _space(model: str, file: Path | None) -> SearchSpace:
    config = models.config_class(model)
    space = load_space(file or default_space(model), config)
    if space.model != model:
        raise UserError(f"the search space is for {space.model}, and --model is {model}: give --model {space.model}")
    return space


def _all_drawn(space: SearchSpace) -> tuple[SearchSpace, dict[str, Parameter]]:
    return space, {}


def _served(space: SearchSpace, dataset: Dataset, console: Console) -> SearchSpace:
    """The space with the parameters whose needs the data do not meet fixed at their neutral values; UserError where
    they do not meet those of the model itself."""
    refuse_unserved(models.config_class(space.model), dataset)
    needs = {n: need for n, need in unmet(models.config_class(space.model), dataset).items() if n in space.parameters}
    for what, reason in REASONS.items():
        if constants := {name: need.neutral for name, need in needs.items() if need.what == what}:
            console.print(f"{space.model}: {reason}: {written(constants)} fixed", markup=False)
            space = space.fixing(constants)
    return space


def default_space(model: str) -> Path:
    """search_spaces/<model>.yaml in the working directory, else the one that comes with the package."""
    return find(f"search_spaces/{model}.yaml")
