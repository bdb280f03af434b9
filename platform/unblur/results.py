"""Results that a person holds in Python: frozen values with tables, models and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import pandas as pd
from matplotlib.figure import Figure

from unblur.errors import UserError
from unblur.evaluation.measuring import spelled
from unblur.experiments.ablation_run import AblationResult
from unblur.experiments.reproduce import ReproductionResult
from unblur.experiments.results import Best, ComparisonResult, EvaluationResult, SeedValues, StudyResult
from unblur.models.serving import ServedModel
from unblur.reporting import ablation, paper_rows, search_plots
from unblur.reporting.loading import find_study
from unblur.reporting.runs import StudyRuns
from unblur.tracking import names
from unblur.tracking.client import connect
from unblur.tracking.reader import Reader, existing_store
from unblur.tracking.registry import served


@dataclass(frozen=True)
class Study:
    """One recommender's study: a search with its final runs, or the final runs of a given configuration."""

    name: str
    """Of the recommender."""
    experiment: str
    """MLflow's: dataset/protocol."""
    run_id: str
    """Of the study's run in MLflow."""
    metric: str
    """The validation metric that decided (`ndcg@10`)."""
    best: Best
    """The configuration that the final runs trained: `.params`, its `.value` on validation, its trial's `.number`."""
    test: Mapping[str, SeedValues]
    """Every metric on the test set by name (`ndcg@10`): `.mean`, `.std`, `.values` by seed, `.interval` (95%)."""
    popularity: Mapping[str, float]
    """The same metrics of recommending the most popular items."""
    model_uri: str | None
    """`models:/NAME/VERSION`; None for a model that can only score users that it was trained on."""
    tracking_uri: str | None = None
    """MLflow's tracking store, as it was given."""

    @classmethod
    def of(cls, result: StudyResult, tracking_uri: str | None) -> Self:
        """The study that was just run."""
        return cls(
            name=result.model,
            experiment=result.data.experiment,
            run_id=result.parent_run_id,
            metric=result.metric,
            best=result.best,
            test=result.test,
            popularity=result.popularity,
            model_uri=result.final.model_uri,
            tracking_uri=tracking_uri,
        )

    @classmethod
    def recorded(cls, runs: StudyRuns, experiment: str, tracking_uri: str | None) -> Self:
        """The study that MLflow has."""
        prefix = names.popularity("")
        least = {name.removeprefix(prefix): v for name, v in runs.run.metrics.items() if name.startswith(prefix)}
        return cls(
            name=runs.model,
            experiment=experiment,
            run_id=runs.run.id,
            metric=spelled(runs.metric),
            best=_best(runs),
            test={spelled(name): SeedValues(tuple(values)) for name, values in runs.tests.items()},
            popularity={spelled(name): value for name, value in least.items()},
            model_uri=runs.run.tags.get(names.MODEL_URI) or None,
            tracking_uri=tracking_uri,
        )

    @classmethod
    def load(cls, experiment: str, model: str, tracking_uri: str | None) -> Self:
        """The newest finished study of a model in MLflow; UserError when there is none."""
        return cls.recorded(
            find_study(Reader(existing_store(tracking_uri)), experiment, model), experiment, tracking_uri
        )

    def model(self) -> ServedModel:
        """The registered model, of the seed that was best on validation. UserError where none is registered."""
        if self.model_uri is None:
            raise UserError(
                f"{self.name} is not registered: it can only score users that it was trained on. Name another"
            )
        return served(connect(self.tracking_uri), self.model_uri)

    def frame(self) -> pd.DataFrame:
        """The test: a row per seed, a column per metric."""
        return pd.DataFrame({name: each.values for name, each in self.test.items()}).rename_axis("seed").reset_index()

    def trials(self) -> pd.DataFrame:
        """The search: a row per trial, with number, state, value (best on validation), seconds and every parameter."""
        rows = [
            {"number": each.number, "state": str(each.state), "value": each.value, "seconds": each.seconds}
            | each.settings
            for each in self._runs().trials
        ]
        return pd.DataFrame(rows)

    def plot_search(self) -> Figure:
        """Every trial's value, and the best so far. UserError without a search."""
        if (plot := search_plots.search_history([self._runs()])) is None:
            raise UserError(f"the study of {self.name} has no trials: it was no search")
        return plot.figure

    def plots(self) -> dict[str, Figure]:
        """Of the search: response to guidance, importance, slices, parallel coordinates, learning curves, time."""
        return {plot.id.removesuffix(f"-{self.name}"): plot.figure for plot in search_plots.model_plots(self._runs())}

    def _runs(self) -> StudyRuns:
        return find_study(Reader(existing_store(self.tracking_uri)), self.experiment, self.name, self.run_id)


@dataclass(frozen=True)
class Comparison:
    """Studies of several recommenders on the same data with the same budget."""

    studies: Mapping[str, Study]
    """By recommender, those that came to their end."""
    failed: Mapping[str, str]
    """Why the others failed, by recommender."""

    @classmethod
    def of(cls, result: ComparisonResult, tracking_uri: str | None) -> Self:
        """The comparison that was just run."""
        return cls({name: Study.of(each, tracking_uri) for name, each in result.studies.items()}, result.failed)

    @property
    def best(self) -> Study:
        """The study with the best value on validation; the test set has no say. UserError when all failed."""
        if not self.studies:
            raise UserError("; ".join(f"{name} failed: {reason}" for name, reason in self.failed.items()))
        return max(self.studies.values(), key=lambda study: study.best.value)

    def frame(self) -> pd.DataFrame:
        """The tests: a row per recommender and seed, a column per metric."""
        frames = [study.frame().assign(model=name) for name, study in self.studies.items()]
        frame = pd.concat(frames, ignore_index=True)
        return frame[["model", *frame.columns.drop("model")]]


@dataclass(frozen=True)
class Evaluation:
    """One model on the test set."""

    model: str
    """Its URI or folder."""
    test: Mapping[str, SeedValues]
    """By metric (`ndcg@10`), a single value each."""
    popularity: Mapping[str, float]

    @classmethod
    def of(cls, result: EvaluationResult) -> Self:
        """The evaluation that was just made."""
        test = {spelled(name): SeedValues((value,)) for name, value in result.test.items()}
        return cls(result.model, test, {spelled(name): value for name, value in result.popularity.items()})

    def frame(self) -> pd.DataFrame:
        """A row per metric: metric, value, popularity."""
        rows = [{"metric": m, "value": v.mean, "popularity": self.popularity[m]} for m, v in self.test.items()]
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class AblationStudy:
    """A grid of trainings, as far as it is trained and scored."""

    result: AblationResult

    @property
    def failed(self) -> Mapping[str, str]:
        """Reasons of the cells that failed, by name."""
        return self.result.failed

    @property
    def left(self) -> int:
        """Trainings that are neither done nor failed: the same call goes on with them."""
        return self.result.left

    def frame(self) -> pd.DataFrame:
        """A row per cell, seed, point and part: the axes, what the training was, every metric (`ndcg_at_10`)."""
        return ablation.as_frame(self.result.study, self.result.measured)

    def plots(self) -> dict[str, Figure]:
        """Every metric along the study's axis x, by part and metric: `valid-ndcg_at_10`."""
        page = ablation.report(self.result.study, self.frame())
        return {plot.id: plot.figure for section in page.sections for plot in section.plots}


@dataclass(frozen=True)
class ReproductionStudy:
    """Rows of the papers' tables, and ours."""

    result: ReproductionResult

    def frame(self) -> pd.DataFrame:
        """A row per row of a table and metric: the paper's figure, our mean and standard deviation, the difference."""
        return pd.DataFrame(paper_rows.records(self.result.rows))


def _best(runs: StudyRuns) -> Best:
    if trial := runs.best():
        return Best(trial.number, trial.settings, trial.value or 0.0)
    values = [run.metrics.get(names.best(runs.metric), float("nan")) for run in runs.finals]
    return Best(None, runs.finals[0].params if runs.finals else {}, max(values, default=float("nan")))
