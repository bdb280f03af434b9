"""A dataset's studies as MLflow has them: what the report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import mean
from typing import Any, Literal

import pandas as pd

from unblur.energy import ASSUMED, LIMIT, RATED
from unblur.evaluation.protocol import GIVEN
from unblur.experiments.examples import Example
from unblur.tracking import names
from unblur.tracking.reader import Found
from unblur.tracking.spending import total
from unblur.training.record import State

Kind = Literal["trial", "final"]
KINDS: tuple[Kind, ...] = ("trial", "final")
SECONDS = names.FACTS["seconds"]
WATTS = (RATED, ASSUMED, LIMIT)


@dataclass(frozen=True)
class Trial:
    """One configuration that the search tried."""

    number: int
    state: State
    params: dict[str, Any]
    value: float | None  # the best on validation
    seconds: float | None
    inference: dict[str, Any] = field(default_factory=dict)  # not drawn but chosen on validation
    curve: dict[int, float] = field(default_factory=dict)  # epoch -> value
    started: float | None = None  # on the clock, seconds since 1970
    ended: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # the newest of each, by name in MLflow

    @property
    def settings(self) -> dict[str, Any]:
        """All that its value belongs to."""
        return {**self.params, **self.inference}


def varied(trials: Sequence[Trial]) -> list[str]:
    """The settings in which these trials differ."""
    names = dict.fromkeys(name for trial in trials for name in trial.settings)
    return [name for name in names if len({str(trial.settings.get(name)) for trial in trials}) > 1]


@dataclass(frozen=True)
class FinalRun:
    """The chosen configuration trained with one seed."""

    number: int
    configuration: int  # the trial whose configuration it is
    seconds: float | None
    metrics: dict[str, float]
    params: dict[str, Any]
    inference: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRuns:
    """One model's study."""

    model: str
    run: Found
    metric: str  # the one that decided, on validation
    trials: list[Trial] = field(default_factory=list)
    finals: list[FinalRun] = field(default_factory=list)  # that were tested
    per_user: pd.DataFrame | None = None  # index user; n_relevant and every metric, averaged over seeds
    examples: Sequence[Example] = ()  # of what a few users had and would get
    sweep: pd.DataFrame | None = None  # of the final runs: seed, every setting of inference, its metrics on validation

    @cached_property
    def tests(self) -> dict[str, list[float]]:
        """A metric's (`ndcg_at_10`) values by seed, of those that every final run has."""
        found = [names.tested(run.metrics) for run in self.finals]
        shared = [name for name in found[0] if all(name in each for each in found)] if found else []
        return {name: [each[name] for each in found] for name in shared}

    @property
    def history(self) -> str:
        return self.run.tags.get(names.HISTORY, "train")

    @property
    def validation(self) -> str:
        """What the search selected by."""
        return self.run.tags.get(names.VALIDATION, GIVEN)

    @property
    def digest(self) -> str:
        return self.run.tags.get(names.DATASET_DIGEST, "")

    @property
    def comparable(self) -> tuple[str, str, str]:
        """What models must have in common to be compared: the data, the history at the test, the selection."""
        return self.digest, self.history, self.validation

    @property
    def from_start(self) -> bool | None:
        """Whether the tested configuration is a starting configuration of its space; None where that is unknown."""
        if names.STARTS not in self.run.tags or not self.finals:
            return None
        return self.finals[0].configuration < int(self.run.tags[names.STARTS])

    def test(self, metric: str) -> float:
        """The mean over seeds, as MLflow has it."""
        return self.run.metrics[names.test(metric)]

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds; None for a single one."""
        return self.run.metrics.get(names.deviation(names.test(metric)))

    def popularity(self, metric: str) -> float | None:
        """What recommending the most popular items scores."""
        return self.run.metrics.get(names.popularity(metric))

    def done(self) -> list[Trial]:
        """The trials that ended well or were pruned, with a value."""
        return [
            trial for trial in self.trials if trial.value is not None and trial.state in {State.COMPLETE, State.PRUNED}
        ]

    def best(self) -> Trial | None:
        complete = [trial for trial in self.trials if trial.state == State.COMPLETE and trial.value is not None]
        return max(complete, key=lambda trial: trial.value or 0.0, default=None)

    def chosen_value(self) -> float | None:
        """What the tested configuration had on validation when it was chosen; without a search, its final runs'."""
        best = self.best()
        return best.value if best else self.final_value()

    def final_value(self) -> float | None:
        """The final runs' mean on the given validation part, by the metric that decided; None where it is not known."""
        values = [run.metrics.get(names.best(self.metric)) for run in self.finals]
        known = [value for value in values if value is not None]
        return mean(known) if known else None

    def search_seconds(self) -> float:
        """Seconds of all trials together, however many ran at a time, and of the artefacts that they share."""
        return self._shared("trial").get(SECONDS, 0.0) + sum(each.seconds or 0.0 for each in self.trials)

    def final_seconds(self) -> float:
        """The same of the final runs, without what the search has made for them."""
        return self._shared("final").get(SECONDS, 0.0) + sum(each.seconds or 0.0 for each in self.finals)

    def spent(self, kind: Kind) -> dict[str, float]:
        """What the trials or final runs that told it cost, with what they share, by the known names of SPENT."""
        told = [each for each in self._costs(kind) if SECONDS in each]
        if not told and self._costs(kind):
            return {}
        return total([*told, *filter(None, [self._shared(kind)])])

    @property
    def untold(self) -> int:
        """Trials and final runs that never told how long they trained."""
        return sum(SECONDS not in each for kind in KINDS for each in self._costs(kind))

    def _costs(self, kind: Kind) -> list[Mapping[str, float]]:
        return [each.metrics for each in (self.trials if kind == "trial" else self.finals)]

    def _shared(self, kind: Kind) -> dict[str, float]:
        """What making the artefacts took that all of a kind share."""
        known = {name: self.run.metrics.get(names.artefacts(kind, name)) for name in names.SPENT}
        return {name: value for name, value in known.items() if value is not None}

    def watts(self) -> dict[str, float]:
        """The highest W of a CPU and a GPU that its trainings told, by the fact that says how it was found."""
        every = [each for kind in KINDS for each in self._costs(kind)]
        told = {name: [each[names.FACTS[name]] for each in every if names.FACTS[name] in each] for name in WATTS}
        return {name: max(values) for name, values in told.items() if values}


@dataclass(frozen=True)
class Evidence:
    """All that one report says something about: comparable studies, and why others are left out."""

    dataset: str
    protocol: str
    address: str
    studies: list[StudyRuns]
    notes: list[str]
    openings: Mapping[str, int] = field(default_factory=dict)
    """How often the test set was opened, by the reason."""

    @property
    def digest(self) -> str:
        """Of the data that all studies have in common."""
        return self.studies[0].digest
