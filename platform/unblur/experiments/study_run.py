"""One model's study, from its first trial to the test of its retrains; and the same without a search."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import ray
from rich.console import Console

from unblur.errors import RunFailed, UserError
from unblur.experiments.context import Session, command, ray_cluster
from unblur.experiments.final_evaluation import Result, finale, is_over
from unblur.experiments.final_runs import Retrains
from unblur.experiments.forecast import announce, estimates, side_by_side, with_gpus
from unblur.experiments.options import SearchOptions
from unblur.experiments.progress import Progress
from unblur.experiments.recording import Recorder, as_record
from unblur.experiments.results import conclude
from unblur.files import under
from unblur.running.cleanup import Janitor, sweep
from unblur.running.resources import concurrency
from unblur.running.run import search as run_search
from unblur.running.trainable import Work, trial
from unblur.search.identity import StudyIdentity
from unblur.search.lock import driving
from unblur.search.space import Parameter, SearchSpace
from unblur.search.storage import shown
from unblur.search.study import Study
from unblur.tracking import names
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker
from unblur.training.record import State

BATCH_RULE = "batch_size is the global batch; workers share it"


def search_one(
    session: Session,
    space: SearchSpace,
    swept: dict[str, Parameter],
    url: str,
    cluster: ExitStack,
    console: Console,
) -> dict[str, Any] | None:
    """Search, retrain, test, register one model; what is done already is not done again. Returns its summary.

    swept: parameters of inference that are not drawn; each evaluation takes the best of a grid of them.
    url: the study's database. cluster: where Ray is started when it is needed first, and lives until the end of the
    stack. None after a dry run. Raises RunFailed.
    """
    started = time.monotonic()
    options = session.options
    assert isinstance(options, SearchOptions)
    identity = identity_of(session, space, swept, options.validation_users)
    if options.dry_run:
        _planned(session, space, swept, cluster, console)
        console.print("dry run: nothing was started")
        return None
    with ExitStack() as stack:
        study = Study.open(identity, url, options.fresh)
        study.guard = stack.enter_context(driving(url, study.name))
        home = under(session.root, "studies", session.dataset_name, study.name)
        places = 0  # none are needed to tell the result of a search that is over
        if study.missing(options.trials) or not is_over(session, _retrains(session, study, home)):
            session, places = _planned(session, space, swept, cluster, console)
        tracker = stack.enter_context(_recorded(session, study.name, identity, console, "search"))
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
    trials = {state: count for state, count in study.counts().items() if state != State.RUNNING}
    enqueued = best.number < len(space.enqueue)  # they come first
    if enqueued:
        console.print(f"trial {best.number} is one of the space's own starting configurations", markup=False)
    found = {"number": best.number, "params": best.params, "valid": best.value, "enqueued": enqueued}
    return conclude(session, tracker, study.name, result, seconds, console, trials=trials, best=found)


def train_one(session: Session, space: SearchSpace, cluster: ExitStack, console: Console) -> dict[str, Any] | None:
    """Train, test and register the one configuration that `space` fixes; returns its summary, None after a dry run."""
    started = time.monotonic()
    options, params = session.options, space.fixed
    identity = identity_of(session, space)
    name = f"{options.model}-train-{identity.hash}"
    home = under(session.root, "studies", session.dataset_name, name)
    session, places = _planned(session, space, {}, cluster, console)
    if options.dry_run:
        console.print("dry run: nothing was started")
        return None
    with _recorded(session, name, identity, console, "training") as tracker:
        retrains = Retrains(under(home, "retrains"), 0, params, options.seed, session.plan.metric)
        result = _finale(session, tracker, retrains, places, console)
    seconds = {"search": 0.0, "retrain": time.monotonic() - started, "total": time.monotonic() - started}
    valid = {"number": None, "params": params, "valid": max(result.valid)}
    trials = {"complete": 0, "pruned": 0, "failed": 0}
    return conclude(session, tracker, name, result, seconds, console, trials=trials, best=valid)


def identity_of(
    session: Session,
    space: SearchSpace,
    swept: dict[str, Parameter] | None = None,
    validation_users: int | None = None,
) -> StudyIdentity:
    """All that makes two searches of this session's model the same search."""
    options, plan = session.options, session.plan
    return StudyIdentity(
        dataset=session.dataset.digest,
        protocol=options.data.protocol,
        evaluation=options.protocol,
        model=options.model,
        space=space,
        swept=swept or {},
        metric=plan.metric,
        epochs=plan.epochs,
        eval_every=plan.eval_every,
        patience=plan.patience,
        validation_users=validation_users,
        batch_rule=BATCH_RULE,
        seed=options.seed,
    )


@contextmanager
def _recorded(
    session: Session, study_id: str, identity: StudyIdentity, console: Console, purpose: Literal["search", "training"]
) -> Iterator[Tracker]:
    """The study's runs in MLflow, closed in whatever way the block ends."""
    tracker = session.tracker()
    facts = session.prepared.facts.model_dump()
    tracker.open_study(
        f"{study_id}-{session.prepared.digest[:8]}",
        f"{session.dataset_name} {session.options.model}",
        {
            names.PURPOSE: purpose,
            names.MODEL: session.options.model,
            names.PROTOCOL: session.options.data.protocol,
            names.COMMAND: command(),
        },
        {key: value for key, value in identity.model_dump(mode="json").items() if key != "space"},
        LoggedDataset(session.dataset_name, session.prepared.digest, facts),
    )
    try:
        yield tracker
    except KeyboardInterrupt:
        tracker.end_study(State.INTERRUPTED, "interrupted")
        raise
    except UserError as error:  # trials have run: this is no mistake that could have been found before
        tracker.end_study(State.FAIL, str(error))
        raise RunFailed(str(error)) from None
    except Exception as error:
        tracker.end_study(State.FAIL, str(error))
        raise
    finally:
        if undelivered := tracker.close():
            console.print(undelivered, markup=False)


def _retrains(session: Session, study: Study, home: str) -> Retrains:
    """The retrains of the study's best trial; RunFailed when no trial was completed."""
    best = study.best()
    if best is None:
        raise RunFailed(f"no trial was completed ({_counts(study)}); MLflow has the reason of each")
    seed, metric, swept = session.options.seed, session.plan.metric, study.identity.swept
    return Retrains(under(home, "retrains"), best.number, best.params, seed, metric, swept)


def _planned(
    session: Session, space: SearchSpace, swept: dict[str, Parameter], cluster: ExitStack, console: Console
) -> tuple[Session, int]:
    """Say what will be done, with Ray up; returns the session with its GPUs, and how many trainings run at a time.

    UserError when the cluster can give none what it needs.
    """
    cluster.enter_context(ray_cluster())
    drawn = estimates(space, session.dataset)
    session, gpus = with_gpus(session, drawn)
    places = side_by_side(drawn, concurrency(session.resources, session.options.concurrency))
    announce(session, space, swept, drawn, places, console)
    if gpus:
        console.print(gpus, markup=False)
    return session, places


def _search(session: Session, study: Study, tracker: Tracker, home: str, places: int, console: Console) -> None:
    options = session.options
    assert isinstance(options, SearchOptions)
    if study.missing(options.trials) == 0:
        return
    folder, swept = under(home, "trials"), study.identity.swept
    # of the trials alone: what is retrained is always evaluated on everyone
    plan = session.plan.model_copy(update={"validation_users": options.validation_users})
    work = Work(options.model, plan, session.resources, session.trainer(), folder, swept=swept)
    running = {record.number for record in study.records() if record.state == State.RUNNING}
    sweep(work.folder, running.__contains__)
    shown: dict[str, Any] = {"epochs": options.epochs, "title": options.model}
    with Progress(console, options.trials, options.metric, session.plan.metric, study.records(), **shown) as progress:
        run_search(
            trial(work, ray.put(session.dataset)),
            study,
            options.trials,
            concurrency=places,
            resources=work.bundle(),
            listeners=[progress, Recorder(tracker, "trial", session.plan.metric), Janitor(work)],
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
    with Progress(
        console, options.seeds, options.metric, session.plan.metric, kind="retrain", epochs=options.epochs
    ) as progress:
        trainer = session.trainer(final=isinstance(options, SearchOptions))
        return finale(session, tracker, retrains, trainer, places, [progress], console)


def _counts(study: Study) -> str:
    return ", ".join(f"{count} {state}" for state, count in study.counts().items() if count) or "new"
