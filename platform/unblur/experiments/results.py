"""Results of experiments as frozen values, and their summaries as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml
from scipy import stats

from unblur.data.dataset import HistoryName
from unblur.errors import RunFailed
from unblur.evaluation.measuring import spelled
from unblur.experiments.final_evaluation import FinalResult, best_seed
from unblur.experiments.prepared import PreparedData
from unblur.files import write_output
from unblur.formatting import p_value, with_spread
from unblur.models import model_class
from unblur.training.record import State


@dataclass(frozen=True)
class SeedValues:
    """One metric on the test set, with each seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for a single seed."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% confidence interval of the mean over seeds (Student's t); None for a single seed."""
        if self.std is None:
            return None
        half = float(stats.t.ppf(0.975, len(self.values) - 1)) * self.std / len(self.values) ** 0.5
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        return with_spread(self.mean, self.std)

    def summary(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "values": list(self.values)}


@dataclass(frozen=True)
class Best:
    """The configuration that the final runs trained."""

    number: int | None
    """Of its trial; None without a search."""
    params: Mapping[str, Any]
    value: float
    """On validation."""
    enqueued: bool | None = None
    """Whether it is one of the space's own starting configurations; None without a search."""


@dataclass(frozen=True)
class StudyResult:
    """One model's study: a search with its final runs, or the final runs of a given configuration."""

    study: str
    model: str
    metric: str
    """The validation metric that decided (`ndcg@10`)."""
    data: PreparedData
    trials: Mapping[State, int]
    """How many ended as COMPLETE, PRUNED and FAIL."""
    best: Best
    final: FinalResult
    workers: int
    """Of each training."""
    tracking_uri: str
    experiment_id: str
    parent_run_id: str
    seconds: Mapping[str, float]
    """Of the search, of the final runs, and in total, in this start."""
    configuration: str = ""
    """Path or URI of the best configuration as a YAML file."""
    views: Mapping[str, str] = field(default_factory=dict)
    """Names of the saved views in MLflow that the study is seen in, and their places below its address."""

    @property
    def history(self) -> HistoryName:
        return self.data.history

    @property
    def test(self) -> dict[str, SeedValues]:
        """Every metric on the test set by name: `ndcg@10` and what is beyond accuracy."""
        return {spelled(name): SeedValues(tuple(each)) for name, each in self.final.test.items()}

    @property
    def popularity(self) -> dict[str, float]:
        """The same metrics of recommending the most popular items."""
        return {spelled(name): value for name, value in self.final.popularity.items()}

    @property
    def inference(self) -> dict[str, Any]:
        """The settings of inference of the seed that is best on validation."""
        return self.final.inference[best_seed(self.final.valid)] if self.final.inference else {}

    @property
    def headline(self) -> str:
        """The test in a line: `test ndcg@10: 0.1193 ± 0.0012 over 2 seeds, history train`."""
        values = self.test[self.metric]
        return f"test {self.metric}: {values} {self._seeds(len(values.values))}, history {self.history}"

    def _seeds(self, count: int) -> str:
        if not model_class(self.model).RANDOM:
            return "fitted once, since nothing in it is random"
        return f"over {count} seeds" if count > 1 else "with one seed"

    @property
    def verdict(self) -> str:
        """Against the least that a model must beat."""
        least, over = self.popularity[self.metric], self.final.over_popularity
        if over is None:
            return f"popularity: {least:.4f}"
        ahead = "significantly ahead of" if over.difference > 0 else "significantly behind"
        return (
            f"{ahead if over.significant else 'not significantly different from'} popularity ({least:.4f}): "
            f"{over.difference:+.4f}, 95% interval {over.low:+.4f} to {over.high:+.4f}, {p_value(over.p_t)} "
            f"over {over.n:,} users"
        )

    def check(self) -> None:
        """RunFailed when the model could not be registered: a study that failed otherwise has no result."""
        if self.final.unregistered:
            raise RunFailed(self.final.unregistered)

    def summary(self) -> dict[str, Any]:
        """The result as JSON."""
        facts, best = self.data.facts, self.best
        sizes = {key: getattr(facts, key) for key in ("users", "items", "train", "valid", "test")}
        found = {"number": best.number, "params": dict(best.params), "valid": best.value}
        return {
            "study": self.study,
            "dataset": {"name": self.data.name, **sizes, "digest": self.data.digest},
            "model": self.model,
            "parameters": self.final.parameters,
            "memory_mib": self.final.memory_mib,
            "efficiency": self.final.efficiency,
            "trials": {str(state): count for state, count in self.trials.items()},
            "best": found if best.enqueued is None else {**found, "enqueued": best.enqueued},
            "inference": self.final.inference,
            "test": {name: SeedValues(tuple(values)).summary() for name, values in self.final.test.items()},
            "popularity": self.final.popularity,
            "mlflow": {
                "tracking_uri": self.tracking_uri,
                "experiment_id": self.experiment_id,
                "parent_run_id": self.parent_run_id,
                "model_uri": self.final.model_uri,
                "views": dict(self.views),
            },
            "seconds": {key: round(value, 1) for key, value in self.seconds.items()},
        }


@dataclass(frozen=True)
class ComparisonResult:
    """Several models' studies on the same data with the same budget."""

    studies: Mapping[str, StudyResult]
    """By model, those that came to their end."""
    failed: Mapping[str, str]
    """Why the others failed, by model."""

    def ranked(self, metric: str) -> list[StudyResult]:
        """The studies by their mean on the test set, the best first; `metric` as in `ndcg@10`."""
        return sorted(self.studies.values(), key=lambda study: -study.test[metric].mean)

    def check(self) -> None:
        """RunFailed when a model's study failed, or its model could not be registered."""
        unregistered = {name: study.final.unregistered for name, study in self.studies.items()}
        wrong = {**self.failed, **{name: reason for name, reason in unregistered.items() if reason}}
        if wrong:
            raise RunFailed("\n".join(f"{name}: {reason}" for name, reason in wrong.items()))

    def summary(self) -> dict[str, Any]:
        """The results as JSON."""
        return {"models": {name: study.summary() for name, study in self.studies.items()}}


@dataclass(frozen=True)
class EvaluationResult:
    """One model on a dataset's test set."""

    model: str
    """Its URI or folder."""
    kind: str
    """Name of the recommender."""
    data: PreparedData
    test: Mapping[str, float]
    """By metric (`ndcg_at_10`)."""
    popularity: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """The metrics as JSON."""
        return {"model": self.model, "history": self.data.history, "test": dict(self.test)}


def best_configuration(study: str, best: Best, final: FinalResult, metric: str) -> str:
    """The YAML of a study's best parameters, with the inference settings of the seed that is best on validation."""
    inference = final.inference[best_seed(final.valid)] if final.inference else {}
    found = f"trial {best.number}: " if best.number is not None else ""
    comment = f"# study {study}; {found}{metric} {best.value:.4f} on validation\n"
    return comment + yaml.safe_dump({**best.params, **inference}, sort_keys=False, default_flow_style=None)


def write_summary(file: Path, summary: Mapping[str, Any]) -> None:
    """Write the summary as JSON; UserError names --summary when that fails."""
    write_output(file, json.dumps(summary, indent=2) + "\n", "--summary")
