"""`jobs/tune.py`: search a model's hyperparameters, or those of several with the same budget."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import RunFailed, UserError
from unblur.experiments.context import SILENT, Session, open_session, study_url
from unblur.experiments.display import conclude, show_comparison, show_study
from unblur.experiments.forecast import refuse_infeasible
from unblur.experiments.options import SearchOptions
from unblur.experiments.results import ComparisonResult, StudyResult, write_summary
from unblur.experiments.study_opening import identity_of
from unblur.experiments.study_run import StudyRun
from unblur.experiments.winners import Winners
from unblur.formatting import counted
from unblur.models.needs import REASONS, REFUSALS, refuse_unserved, unmet, unserved_choices
from unblur.resources import find
from unblur.search.inference_grid import without_swept, written
from unblur.search.space import SearchSpace
from unblur.search.space_file import load_space


def tune(options: SearchOptions, console: Console = SILENT) -> StudyResult | ComparisonResult | None:
    """Search, train the best with several seeds, test, register. Run again, it goes on where it was.

    Several models get a study each, one after the other, all with the same budget; one that fails does not keep the
    others from being searched, and `ComparisonResult.check` raises. None after a dry run.
    """
    names = model_names(options)
    spaces = {name: _space(name, options.search_space) for name in names}
    session = open_session(options, console, options.validation)
    winners = Winners.on(session, console)
    spaces = {name: _served(winners.of(space), session.data.dataset, console) for name, space in spaces.items()}
    url = study_url(options, session.root)
    refuse_infeasible(spaces.values(), session.data.dataset)
    with ExitStack() as cluster:
        studies = {name: _study(session, options, space, console) for name, space in spaces.items()}
        if len(names) > 1:
            return _compare(options, studies, url, cluster, console)
        result = studies[names[0]].search(options, url, cluster)
    if result:
        conclude(result, options, console)
    return result


def model_names(options: SearchOptions) -> list[str]:
    """The models of `--model a,b,c`; UserError for one that is unknown or named twice, or a space that fits only one.

    Each gets all of `--trials`, `--time-budget`, `--epochs` and `--seeds`: a comparison is fair when nobody was tuned
    harder (Dacrema et al. 2019).
    """
    names = [name.strip() for name in options.model.split(",")]
    for name in names:
        models.config_class(name)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--model names {', '.join(twice)} more than once")
    if options.search_space and len(names) > 1:
        raise UserError(
            f"--search-space {options.search_space} is one model's, and --model names {len(names)}: "
            "leave it out, and each takes search_spaces/<model>.yaml"
        )
    return names


def _study(session: Session, options: SearchOptions, space: SearchSpace, console: Console) -> StudyRun:
    drawn, swept = without_swept(space) if options.sweep_inference == "on" else (space, {})
    identity = identity_of(session, space.model, drawn, swept, options.validation_users)
    return StudyRun(session, identity, console)


def _compare(
    options: SearchOptions, studies: Mapping[str, StudyRun], url: str, cluster: ExitStack, console: Console
) -> ComparisonResult | None:
    limit = f" and {options.time_budget:g} s of search" if options.time_budget else ""
    console.print(
        f"equal budget: each of {len(studies)} models gets {counted(options.trials, 'trial')} of at most "
        f"{options.epochs} epochs{limit}, then {counted(options.seeds, 'seed')}: {', '.join(studies)}",
        markup=False,
    )
    found: dict[str, StudyResult] = {}
    failed: dict[str, str] = {}
    for place, (name, study) in enumerate(studies.items()):
        console.rule(f"{name} (model {place + 1} of {len(studies)})")
        try:
            if result := study.search(options, url, cluster):
                found[name] = result
                _keep(options, ComparisonResult(found, failed))
                show_study(result, options, console)
        except RunFailed as error:
            failed[name] = str(error)
    if options.dry_run:
        return None
    comparison = ComparisonResult(found, failed)
    show_comparison(comparison, options, console)
    return comparison


def _keep(options: SearchOptions, sofar: ComparisonResult) -> None:
    """The summary of the models so far: the hours of the next one are no risk to it, nor is the output."""
    if options.summary:
        write_summary(options.summary, sofar.summary())


def _space(model: str, file: Path | None) -> SearchSpace:
    config = models.config_class(model)
    space = load_space(find(file) if file else default_space(model), config)
    if space.model != model:
        raise UserError(f"the search space is for {space.model}, and --model is {model}: give --model {space.model}")
    return space


def _served(space: SearchSpace, dataset: Dataset, console: Console) -> SearchSpace:
    """The space with the parameters whose needs the data do not meet fixed at their neutral values; UserError where
    they do not meet those of the model itself."""
    refuse_unserved(models.config_class(space.model), dataset)
    needs = {n: need for n, need in unmet(models.config_class(space.model), dataset).items() if n in space.parameters}
    for what, reason in REASONS.items():
        if constants := {name: need.neutral for name, need in needs.items() if need.what == what}:
            console.print(f"{space.model}: {reason}: {written(constants)} fixed", markup=False)
            space = space.fixing(constants)
    return _served_parts(space, dataset, console)


def _served_parts(space: SearchSpace, dataset: Dataset, console: Console) -> SearchSpace:
    """The space without the choices that the data cannot serve; UserError where none is left, or one is fixed."""
    for (name, choice), what in unserved_choices(models.config_class(space.model), dataset).items():
        fixed = [space.fixed[name]] if name in space.fixed else []
        values = space.parameters[name].corners if name in space.parameters else fixed
        if values == [choice]:
            raise UserError(f"{name} = {choice} needs {REFUSALS[what]}")
        if choice in values:
            console.print(f"{space.model}: {REASONS[what]}: {name} without {choice}", markup=False)
            space = space.without(name, [choice])
    return space


def default_space(model: str) -> Path:
    """search_spaces/<model>.yaml in the working directory, else the one that comes with the package."""
    return find(f"search_spaces/{model}.yaml")
