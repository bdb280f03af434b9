"""The end of a run: retrain with several seeds, test each once, keep the numbers, register the best."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import ray
from rich.console import Console

from unblur import models
from unblur.data import openings
from unblur.data.test_set import TestSet
from unblur.errors import RunFailed
from unblur.experiments.champion import challenge
from unblur.experiments.context import Session
from unblur.experiments.final_runs import Retrains
from unblur.experiments.recording import Recorder
from unblur.experiments.test_once import popularity, results_on_test, tested
from unblur.files import download, under
from unblur.running.run import search
from unblur.running.scheduler import Listener
from unblur.running.trainable import Trainer, Work, trial
from unblur.tracking import names
from unblur.tracking.registry import register
from unblur.tracking.tracker import Tracker


@dataclass(frozen=True)
class Result:
    """What the test says: every metric's values by seed, popularity's beside them, and the registered model.

    `model_uri` is None for a model that cannot serve users it was not trained on.
    """

    test: dict[str, list[float]]
    valid: list[float]
    popularity: dict[str, float]
    model_uri: str | None
    parameters: int | None = None
    """How many numbers the first seed's model has learned, if it is recorded."""
    memory_mib: float | None = None
    """The most that a seed's training took above its process, if it is recorded."""
    inference: list[dict[str, Any]] = field(default_factory=list)
    """The settings of inference that each seed's validation chose; empty where none were swept."""
    efficiency: float | None = None
    """Of several workers that shared each training: the mean over seeds of t_1 / (n t_n)."""


def finale(
    session: Session,
    tracker: Tracker,
    retrains: Retrains,
    trainer: Trainer,
    concurrency: int,
    progress: Sequence[Listener],
    console: Console,
) -> Result:
    """Retrain, test, log and register; what an earlier start has done is not done again.

    Raises RunFailed when a retrain fails.
    """
    seeds = session.options.seeds
    if retrains.missing(seeds):
        model, plan, resources = session.options.model, session.plan, session.resources
        work = Work(model, plan, resources, trainer, retrains.folder, keep=True, swept=retrains.swept)
        search(
            trial(work, ray.put(session.dataset)),
            retrains,
            seeds,
            concurrency=concurrency,
            resources=work.bundle(),
            listeners=[*progress, Recorder(tracker, "retrain", session.plan.metric)],
            trial_timeout=session.options.trial_timeout,
        )
    if retrains.missing(seeds):
        failures = retrains.failures()
        reason = next(iter(failures.values()), "it was stopped").splitlines()[0]
        raise RunFailed(f"{retrains.missing(seeds)} of {seeds} retrains failed: {reason}")
    with TemporaryDirectory(prefix="unblur-") as scratch:
        opened = session.open_test(f"{session.options.model}, {seeds} seed(s), history {session.options.test_history}")
        result = _test(session, tracker, retrains, opened, Path(scratch), console)
        tracker.flush(60)  # artifacts in the scratch folder are on their way
    return result


def is_over(session: Session, retrains: Retrains) -> bool:
    """Whether everything is trained and tested, so that Ray is not needed any more."""
    seeds, history = session.options.seeds, session.options.test_history
    return not retrains.missing(seeds) and all(tested(retrains.home(n), history) for n in retrains.numbers(seeds))


def _test(
    session: Session, tracker: Tracker, retrains: Retrains, data: TestSet, scratch: Path, console: Console
) -> Result:
    numbers = retrains.numbers(session.options.seeds)
    outcomes = [retrains.outcome(number) or {} for number in numbers]
    tests = []
    for number in numbers:
        results = scratch / "per_user" / f"{number:05d}"
        metrics = results_on_test(retrains.home(number), data, session.resources, results)
        tracker.log("retrain", number, 0, {names.test(name): value for name, value in metrics.items()})
        tests.append(metrics)
    for seed, outcome in enumerate(outcomes):
        if diverged := outcome.get("diverged"):
            console.print(f"seed {seed}: {diverged}; its best epoch, {outcome['epoch']}, counts", markup=False)
    values = {name: [metrics[name] for metrics in tests] for name in tests[0]}
    least = popularity(session.dataset, data.test, data.history)
    best = max(range(len(numbers)), key=lambda index: outcomes[index]["value"])
    uri, champion = None, "it is not registered"
    if models.model_class(session.options.model).KNOWN_USERS_ONLY:
        console.print(f"not registered: {session.options.model} can only score users that it was trained on")
    else:
        console.print(f"registering the model of seed {best}, the best on validation", markup=False)
        uri = _register(session, tracker, retrains, numbers[best])
        champion = challenge(session, uri)
        console.print(f"{uri}: {champion}", markup=False)
    tracker.finish(
        {names.popularity(name): value for name, value in least.items()},
        {names.test(name): each for name, each in values.items()},
        {"per_user": scratch / "per_user"},
        {
            names.METRICS: session.options.protocol.definition,
            names.HISTORY: session.options.test_history,
            names.MODEL_URI: uri or "",
            names.CHAMPION: champion,
            names.TEST_OPENINGS: openings.reasons(session.prepared.folder),
        },
    )
    inference = [outcome["inference"] for outcome in outcomes if outcome.get("inference")]
    valid = [outcome["value"] for outcome in outcomes]
    told = [outcome["efficiency"] for outcome in outcomes if outcome.get("efficiency")]
    efficiency = mean(told) if told else None
    memory = max((outcome["memory_mib"] for outcome in outcomes if "memory_mib" in outcome), default=None)
    return Result(values, valid, least, uri, outcomes[0].get("parameters"), memory, inference, efficiency)


def _register(session: Session, tracker: Tracker, retrains: Retrains, number: int) -> str:
    dataset = session.dataset
    with TemporaryDirectory(prefix="unblur-") as scratch:
        return register(
            session.store,
            download(under(retrains.home(number), "model"), Path(scratch)),
            session.dataset_name,
            dataset.items.tolist(),
            tracker.parent_run_id,
            {
                names.MODEL: session.options.model,
                names.PARAMS: {**retrains.params, **(retrains.outcome(number) or {}).get("inference", {})},
                names.DATASET_DIGEST: dataset.digest,
                names.DATA_REQUEST: session.options.data.model_dump_json(),
            },
        )
