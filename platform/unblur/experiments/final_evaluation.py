"""The end of a run: train the configuration with several seeds, test each once, keep the numbers, register the best."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console

from unblur import models
from unblur.data import openings
from unblur.data.dataset import Dataset
from unblur.data.titles import titles_of
from unblur.errors import RunFailed, UserError
from unblur.evaluation.measuring import spelled
from unblur.evaluation.significance import Comparison, compare
from unblur.experiments.champion import challenge, mean_per_user
from unblur.experiments.examples import FILE as EXAMPLES
from unblur.experiments.examples import Example, titled
from unblur.experiments.final_runs import FinalRuns
from unblur.experiments.prepared import PreparedData
from unblur.experiments.recording import Recorder, final_name, with_reports
from unblur.files import download, under
from unblur.running.execution import Execution
from unblur.running.task_list import TaskList
from unblur.running.work import Listener
from unblur.tracking import names
from unblur.tracking.registry import register
from unblur.tracking.runs import Record
from unblur.tracking.tracker import Tracker
from unblur.training.record import State
from unblur.training.task import MODEL


@dataclass(frozen=True)
class FinalResult:
    """What the test says: every metric's values by seed, popularity's beside them, and the registered model."""

    test: dict[str, list[float]]
    valid: list[float]
    popularity: dict[str, float]
    model_uri: str | None
    """None for a model that cannot serve users it was not trained on, or that could not be registered."""
    over_popularity: Comparison | None = None
    """By the metric that decided; None for one that is of all lists together, such as coverage."""
    epochs: int | None = None
    """After which the seed that is best on validation was best; of a model fitted in one go 1."""
    parameters: int | None = None
    """Learned numbers of the first seed's model, if they are recorded."""
    memory_mib: float | None = None
    """The most that a seed's training took above its process, if it is recorded."""
    inference: list[dict[str, Any]] = field(default_factory=list)
    """Inference settings that each seed's validation chose; empty where none were swept."""
    efficiency: float | None = None
    """Of several workers that shared each training: the mean over seeds of t_1 / (n t_n)."""
    champion: str = ""
    """What was decided about the registered model, in a sentence."""
    sweep: str = ""
    """How each seed answers to every setting of inference, on validation, as CSV; empty where none are swept."""
    unregistered: str | None = None
    """Why the model could not be registered, where it could have been."""


@dataclass(frozen=True)
class Registration:
    """What became of the model in the registry: its URI and the decision about the champion, or why there is none."""

    uri: str | None
    champion: str
    reason: str | None = None


@dataclass(frozen=True)
class FinalEvaluation:
    """The final runs of one configuration on one dataset, recorded by `tracker`."""

    runs: FinalRuns
    data: PreparedData
    tracker: Tracker
    console: Console

    def train(self, execution: Execution, data: Mapping[str, Dataset], listeners: Sequence[Listener]) -> None:
        """Train what is not trained yet, each seed on the data of its number; RunFailed when a final run fails."""
        source = self.runs.trainings()
        record = Recorder(self.tracker, "final", self.runs.schedule.metric, execution.resources, self.runs.reports)
        execution.run(source, data, [*listeners, record])
        _all_done(source, "final runs")
        self.tracker.reconcile(final_record(self.runs, number) for number in self.runs.numbers)

    def test(self, execution: Execution) -> FinalResult:
        """Test, record and register; each model is tested once. RunFailed when a test fails."""
        source = self.runs.tests(self.data.history)
        if source.missing():
            opened = self.data.open_test(f"{self.runs.model}, {self.runs.seeds} seed(s), history {self.data.history}")
            execution.alone().run(source, {"": opened})
        _all_done(source, "tests")
        with TemporaryDirectory(prefix="unblur-") as scratch:
            result = self._conclude(Path(scratch) / "per_user")
            self.tracker.flush(60)  # artifacts in the scratch folder are on their way
        return result

    def _conclude(self, per_user: Path) -> FinalResult:
        outcomes = [self.runs.outcome(number) or {} for number in self.runs.numbers]
        tests = [self._record(number, per_user) for number in self.runs.numbers]
        for seed, outcome in enumerate(outcomes):
            if diverged := outcome.get("diverged"):
                text = f"seed {seed}: {diverged}; its best epoch, {outcome['epoch']}, counts"
                self.console.print(text, markup=False)
        values = {name: [metrics[name] for metrics in tests] for name in tests[0]}
        least = self.runs.popularity(self.data.history).metrics()
        self.tracker.finish(
            {names.popularity(name): value for name, value in least.items()},
            {names.test(name): each for name, each in values.items()},
            {"per_user": per_user},
            {
                names.METRICS: self.data.protocol.definition,
                names.HISTORY: self.data.history,
                names.TEST_OPENINGS: openings.reasons(self.data.folder),
            },
        )
        valid = [outcome["value"] for outcome in outcomes]
        best = best_seed(valid)
        if shown := self._examples(best):
            self.tracker.note_study({}, None, {EXAMPLES: json.dumps(shown)})
        # after the result is recorded: it is none the worse for a registry that is away
        registered = self._registered(best)
        self.tracker.note_study({names.MODEL_URI: registered.uri or "", names.CHAMPION: registered.champion})
        ratios = [outcome["efficiency"] for outcome in outcomes if outcome.get("efficiency")]
        return FinalResult(
            test=values,
            valid=valid,
            popularity=least,
            over_popularity=self._over_popularity(),
            model_uri=registered.uri,
            champion=registered.champion,
            sweep="" if (sweep := self.runs.sweep()).empty else sweep.to_csv(index=False),
            unregistered=registered.reason,
            epochs=outcomes[best].get("epoch"),
            parameters=outcomes[0].get("parameters"),
            memory_mib=max((outcome["memory_mib"] for outcome in outcomes if "memory_mib" in outcome), default=None),
            inference=[outcome["inference"] for outcome in outcomes if outcome.get("inference")],
            efficiency=mean(ratios) if ratios else None,
        )

    def _examples(self, seed: int) -> list[Example]:
        """What a few users would get from the model of this seed, with titles where the data have any."""
        shown = self.runs.test(self.runs.numbers[seed], self.data.history).examples()
        try:
            return titled(shown, titles_of(self.data.request, self.data.data_dir))
        except UserError as error:  # a table of titles that has gone costs no result
            self.console.print(f"examples without titles: {error}", markup=False)
            return shown

    def _over_popularity(self) -> Comparison | None:
        """What the users say of the model, averaged over its seeds, against popularity, by the metric that decided."""
        history, metric = self.data.history, self.runs.schedule.metric
        least = self.runs.popularity(history).per_user()
        if metric not in least or len(least) < 2:
            return None
        seeds = [self.runs.test(number, history).per_user()[metric] for number in self.runs.numbers]
        return compare(np.mean(seeds, axis=0, dtype=np.float64), least[metric].to_numpy(np.float64))

    def _record(self, number: int, per_user: Path) -> dict[str, float]:
        test = self.runs.test(number, self.data.history)
        test.copy_per_user(per_user / f"{number:05d}")
        metrics = test.metrics()
        self.tracker.log("final", number, 0, {names.test(name): value for name, value in metrics.items()})
        return metrics

    def _registered(self, best: int) -> "Registration":
        """Register the seed best on validation, and hold the mean of all against the champion; what fails is a note."""
        if models.model_class(self.runs.model).KNOWN_USERS_ONLY:
            told = f"not registered: {self.runs.model} can only score users that it was trained on"
            self.console.print(told, markup=False)
            return Registration(None, "it is not registered")
        self.console.print(f"registering the model of seed {best}, the best on validation", markup=False)
        try:
            uri = self._register(self.runs.numbers[best])
        except Exception as error:
            reason = f"the model is not registered: {told_of(error)}. The same command registers it"
            self.console.print(reason, markup=False)
            return Registration(None, "it is not registered", reason)
        return Registration(uri, self._challenged(uri))

    def _challenged(self, uri: str) -> str:
        try:
            name, metric, dataset = self.data.name, self.runs.schedule.metric, self.data.dataset
            return challenge(self.tracker.store, uri, name, metric, dataset)
        except Exception as error:
            return f"it was not held against the champion: {told_of(error)}. The same command does it"

    def _register(self, number: int) -> str:
        self.tracker.flush(60)  # the model gets the metrics of its run
        dataset, outcome = self.data.dataset, self.runs.outcome(number) or {}
        saved = [under(self.runs.home(each), MODEL) for each in self.runs.numbers]
        with TemporaryDirectory(prefix="unblur-") as scratch:
            return register(
                self.tracker.store,
                download(under(self.runs.home(number), MODEL), Path(scratch)),
                self.data.name,
                dataset.items.tolist(),
                self.tracker.parent_run_id,
                {
                    names.MODEL: self.runs.model,
                    names.PARAMS: {**self.runs.params, **outcome.get("inference", {})},
                    names.EPOCHS: outcome.get("epoch"),
                    names.DATASET_DIGEST: self.data.digest,
                    names.DATA_REQUEST: self.data.request.model_dump_json(),
                    names.SEEDS: self.runs.seeds,
                },
                lambda: mean_per_user(saved, dataset),
                number,
                self._described(number),
            )

    def _described(self, number: int) -> str:
        """A version of the registry in words."""
        metric = self.runs.schedule.metric
        valid, test = (self.runs.outcome(number) or {})["value"], self.runs.test(number, self.data.history).metrics()
        return (
            f"{self.runs.model} on {self.data.name}, {final_name(number)}: {spelled(metric)} {valid:.4f} on validation"
            f", {test[metric]:.4f} on the test set (history {self.data.history})"
        )


def final_record(runs: FinalRuns, number: int) -> Record:
    """What a trained final run left, for MLflow to agree with: its outcome, and what is kept of its reports."""
    outcome, metric = runs.outcome(number) or {}, runs.schedule.metric
    best = {names.valid(name): value for name, value in outcome.get("metrics", {}).items()}
    chosen, diverged = outcome.get("inference"), outcome.get("diverged")
    record = Record(
        "final",
        number,
        runs.params,
        State.COMPLETE,
        {outcome["epoch"]: {**best, names.best(metric): outcome["value"]}},
        name=final_name(number),
        tags={
            **names.final_tags(number),
            **({names.INFERENCE: chosen} if chosen else {}),
            **({names.DIVERGED: diverged} if diverged else {}),
        },
    )
    return with_reports(record, runs.reports.of(number, runs.params))


def told_of(error: Exception) -> str:
    """What went wrong in something that the result does not depend on."""
    return str(error).rstrip(".") if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def best_seed(valid: Sequence[float]) -> int:
    """The seed that is best on validation, of equals the first."""
    return max(range(len(valid)), key=lambda seed: valid[seed])


def is_over(runs: FinalRuns, data: PreparedData) -> bool:
    """Whether everything is trained and tested, so that Ray is not needed any more."""
    return not runs.trainings().missing() and not runs.tests(data.history).missing()


def _all_done(source: TaskList, what: str) -> None:
    if missing := source.missing():
        reason = next(iter(source.failures.values()), "it was stopped").splitlines()[0]
        raise RunFailed(
            f"{len(missing)} of {len(source.assignments)} {what} failed: {reason}. The same command tries again"
        )
