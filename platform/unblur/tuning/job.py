"""The jobs: search, and train one configuration. Each says what it does, does it, and says what is next."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray
from rich.console import Console

import unblur
from unblur import models
from unblur.errors import RunFailed, UserError
from unblur.tracking.runs import Dataset
from unblur.tracking.tracker import Tracker
from unblur.training.checkpoints import under
from unblur.tuning.configuration import parameters
from unblur.tuning.finale import Result, finale, is_over
from unblur.tuning.forecast import announce
from unblur.tuning.identity import StudyIdentity
from unblur.tuning.janitor import Janitor, sweep
from unblur.tuning.lock import driving
from unblur.tuning.options import SearchOptions, TrainOptions
from unblur.tuning.progress import Progress
from unblur.tuning.recording import Recorder, as_record
from unblur.tuning.resources import concurrency
from unblur.tuning.retrains import Retrains
from unblur.tuning.session import Session, open_session, ray_cluster, study_url
from unblur.tuning.space import SearchSpace, load_space
from unblur.tuning.storage import shown
from unblur.tuning.study import Study
from unblur.tuning.summary import conclude
from unblur.tuning.trial import Work, trial
from unblur.tuning.tuner import search as run_search

RECENCY = ("w_min", "w_max", "condition_w_min", "recent_share")
"""The parameters, of whichever model, that weigh a user's interactions by their age; 1 means not to."""
BATCH_RULE = "batch_size is the global batch; workers share it"


def search(options: SearchOptions, console: Console) -> None:
    """`jobs/tune.py`: search, retrain, test, register. Run again, it goes on where it was."""
    started = time.monotonic()
    config = models.config_class(options.model)
    space = load_space(options.search_space or default_space(options.model), config)
    if space.model != options.model:
        raise UserError(f"the search space is for --model {space.model}, and --model is {options.model}")
    session = open_session(options, console)
    if session.split.train_rank is None:
        space = _without_time(space, console)
    url = study_url(options, session.root)
    identity = _identity(session, space)
    with ExitStack() as stack:
        if options.dry_run:
            stack.enter_context(ray_cluster())
            announce(session, space, _places(session), console)
            console.print("dry run: nothing was started")
            return
        study = Study.open(identity, url, options.fresh)
        stack.enter_context(driving(url, study.name))
        home = under(session.root, "studies", session.dataset, study.name)
        places = 0  # none are needed to tell the result of a search that is over
        if study.missing(options.trials) or not is_over(session, _retrains(session, study, home)):
            stack.enter_context(ray_cluster())
            places = _places(session)
            announce(session, space, places, console)
        tracker = stack.enter_context(_recorded(session, study.name, identity, console))
        console.print(f"study {study.name} in {shown(url)}: {_counts(study)}", markup=False)
        tracker.reconcile(as_record(record, identity.metric) for record in study.records())
        _search(session, study, tracker, home, places, console)
        searched = time.monotonic()
        retrains = _retrains(session, study, home)
        result = _finale(session, tracker, retrains, places, console)
        sweep(retrains.folder, retrains.is_one)  # those of an earlier best are beaten
    best = study.best()
    assert best is not None
    now = time.monotonic()
    seconds = {"search": searched - started, "retrain": now - searched, "total": now - started}
    trials = {state: count for state, count in study.counts().items() if state != "running"}
    enqueued = best.number < len(space.enqueue)  # they come first
    if enqueued:
        console.print(f"trial {best.number} is one of the space's own starting configurations", markup=False)
    found = {"number": best.number, "params": best.params, "valid": best.value, "enqueued": enqueued}
    conclude(session, tracker, study.name, result, seconds, console, trials=trials, best=found)


def train(options: TrainOptions, console: Console) -> None:
    """`jobs/train.py`: the end of a search without the search."""
    started = time.monotonic()
    params = parameters(options.set, options.config)
    where = " and ".join([*([f"--config {options.config}"] if options.config else []), "--set"])
    config = models.configure(options.model, params, where)
    session = open_session(options, console)
    params = config.model_dump(mode="json")
    identity = _identity(session, SearchSpace(model=options.model, parameters={}, fixed=params))
    name = f"{options.model}-train-{identity.hash}"
    home = under(session.root, "studies", session.dataset, name)
    with ExitStack() as stack:
        stack.enter_context(ray_cluster())
        places = _places(session)
        announce(session, identity.space, places, console)
        if options.dry_run:
            console.print("dry run: nothing was started")
            return
        tracker = stack.enter_context(_recorded(session, name, identity, console))
        retrains = Retrains(under(home, "retrains"), 0, params, options.data.seed, session.plan.metric)
        result = _finale(session, tracker, retrains, places, console)
    seconds = {"search": 0.0, "retrain": time.monotonic() - started, "total": time.monotonic() - started}
    valid = {"number": None, "params": params, "valid": max(result.valid)}
    trials = {"complete": 0, "pruned": 0, "failed": 0}
    conclude(session, tracker, name, result, seconds, console, trials=trials, best=valid)


def _without_time(space: SearchSpace, console: Console) -> SearchSpace:
    """The space for data without an order in time: every recency weight is 1."""
    constants = {name: 1.0 for name in RECENCY if name in space.parameters}
    if constants:
        console.print(f"the data have no order in time: {', '.join(constants)} fixed at 1", markup=False)
    return space.fixing(constants)


def default_space(model: str) -> Path:
    """search_spaces/<model>.yaml in the working directory, else in the checkout that unblur was installed from."""
    name = Path("search_spaces") / f"{model}.yaml"
    checkout = Path(unblur.__file__).parents[2] / name
    return checkout if checkout.exists() and not name.exists() else name


def _identity(session: Session, space: SearchSpace) -> StudyIdentity:
    options, plan = session.options, session.plan
    return StudyIdentity(
        dataset=session.split.digest,
        split=options.data.split or "preset",
        protocol=options.data.protocol,
        history=options.history,
        model=options.model,
        space=space,
        metric=plan.metric,
        epochs=plan.epochs,
        eval_every=plan.eval_every,
        patience=plan.patience,
        batch_rule=BATCH_RULE,
        seed=options.data.seed,
    )


@contextmanager
def _recorded(session: Session, study_id: str, identity: StudyIdentity, console: Console) -> Iterator[Tracker]:
    """The study's runs in MLflow, closed in whatever way the block ends."""
    tracker = session.tracker()
    facts = session.prepared.facts.model_dump()
    tracker.open_study(
        f"{study_id}-{session.prepared.digest[:8]}",
        f"{session.dataset} {session.options.model}",
        {"unblur.model": session.options.model, "unblur.protocol": session.options.data.protocol},
        {key: value for key, value in identity.model_dump(mode="json").items() if key != "space"},
        Dataset(session.dataset, session.prepared.digest, facts),
    )
    try:
        yield tracker
    except KeyboardInterrupt:
        tracker.end_study("pruned", "interrupted")
        raise
    except UserError as error:  # trials have run: this is no mistake that could have been found before
        tracker.end_study("failed", str(error))
        raise RunFailed(str(error)) from None
    except Exception as error:
        tracker.end_study("failed", str(error))
        raise
    finally:
        if undelivered := tracker.close():
            console.print(undelivered, markup=False)


def _retrains(session: Session, study: Study, home: str) -> Retrains:
    """The retrains of the study's best trial; RunFailed when no trial was completed."""
    best = study.best()
    if best is None:
        raise RunFailed(f"no trial was completed ({_counts(study)}); MLflow has the reason of each")
    return Retrains(under(home, "retrains"), best.number, best.params, session.options.data.seed, session.plan.metric)


def _places(session: Session) -> int:
    """How many trials run at a time; UserError when the cluster can give none what it needs."""
    return concurrency(session.resources, session.options.concurrency)


def _search(session: Session, study: Study, tracker: Tracker, home: str, places: int, console: Console) -> None:
    options = session.options
    assert isinstance(options, SearchOptions)
    if study.missing(options.trials) == 0:
        return
    work = Work(options.model, session.plan, session.resources, session.trainer(), under(home, "trials"))
    running = {record.number for record in study.records() if record.state == "running"}
    sweep(work.folder, running.__contains__)
    with Progress(console, options.trials, options.metric, session.plan.metric, study.records()) as progress:
        run_search(
            trial(work, ray.put(session.split)),
            study,
            options.trials,
            concurrency=places,
            resources=work.bundle(),
            listeners=[progress, Recorder(tracker, "trial"), Janitor(work)],
            time_budget=options.time_budget,
            trial_timeout=options.trial_timeout,
        )
    best = study.best()
    found = f"; best trial {best.number}: {options.metric} {best.value:.4f} on validation" if best else ""
    console.print(f"search: {_counts(study)}{found}", markup=False)


def _finale(session: Session, tracker: Tracker, retrains: Retrains, places: int, console: Console) -> Result:
    options = session.options
    if left := retrains.missing(options.seeds):
        console.print(f"training {left} of {options.seeds} seeds", markup=False)
    with Progress(console, options.seeds, options.metric, session.plan.metric) as progress:
        trainer = session.trainer(final=isinstance(options, SearchOptions))
        return finale(session, tracker, retrains, trainer, places, [progress], console)


def _counts(study: Study) -> str:
    return ", ".join(f"{count} {state}" for state, count in study.counts().items() if count) or "new"
