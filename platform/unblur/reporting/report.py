"""From MLflow to the report's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
from matplotlib.figure import Figure

from unblur.evaluation.measuring import METRICS, keys, spelled
from unblur.formatting import counted
from unblur.reporting import papers, plots, search_plots, tables
from unblur.reporting.costs import Prices, costs
from unblur.reporting.examples import examples
from unblur.reporting.figure import Plot
from unblur.reporting.leaderboard import Leaderboard, leaderboard
from unblur.reporting.loading import load, with_openings
from unblur.reporting.options import ReportOptions
from unblur.reporting.page import Report, Section
from unblur.reporting.provenance import commands, definitions
from unblur.reporting.result import Result
from unblur.reporting.runs import Evidence, StudyRuns
from unblur.reporting.several import Several
from unblur.reporting.several_page import SeveralResult
from unblur.reporting.verdict import reservations, verdict
from unblur.tracking.reader import Reader, existing_store


@dataclass(frozen=True)
class ReportResult(Result):
    """The comparison of a dataset's models, as MLflow has their studies."""

    evidence: Evidence

    def frame(self) -> pd.DataFrame:
        """A row per model and seed: model, seed, and every metric on the test set (`ndcg@10`)."""
        rows = [
            {
                "model": study.model,
                "seed": seed,
                **{spelled(name): value for name, value in zip(study.tests, values, strict=True)},
            }
            for study in self.evidence.studies
            for seed, values in enumerate(zip(*study.tests.values(), strict=True))
        ]
        return pd.DataFrame(rows)

    def plot_leaderboard(self) -> Figure:
        """Every model's mean on the test set, with what each seed gave and the interval."""
        return self.figures()["forest"]


def report(options: ReportOptions) -> ReportResult | SeveralResult:
    """Read the finished studies of the datasets from MLflow, and write the files that the options name; UserError.

    Of one dataset its models are compared; of several, what holds over all of them.
    """
    prices = Prices.of(options)
    reader = Reader(existing_store(options.tracking_uri))
    evidence = [with_openings(load(reader, each, options.protocol), options.storage) for each in options.datasets]
    result: ReportResult | SeveralResult
    if len(evidence) == 1:
        result = ReportResult(build(evidence[0], prices), evidence[0])
    else:
        result = SeveralResult.of(Several(evidence), prices)
    result.write(options.output, options.markdown, options.tables, options.figures)
    return result


def build(evidence: Evidence, prices: Prices = Prices()) -> Report:  # noqa: B008 - frozen
    """All that the report says."""
    board = leaderboard(evidence.studies, evidence.studies[-1].metric)
    studies = [row.study for row in board.rows]
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    figures = papers.beside(studies, evidence.dataset, evidence.protocol, keys([10, 20]))
    drawn = {plot.id: plot for plot in plots.result_plots(board, figures)}
    return Report(
        title=f"{evidence.dataset}: which recommender is worth it?",
        subtitle=f"Protocol {evidence.protocol}; {counted(len(studies), 'model')}; {made}",
        verdict=verdict(evidence, board),
        reservations=reservations(evidence, board),
        sections=[*_results(board, studies, figures, drawn, prices), *_searches(studies), _meaning(evidence)],
    )


def _results(
    board: Leaderboard,
    studies: Sequence[StudyRuns],
    figures: Sequence[papers.Beside],
    drawn: dict[str, Plot],
    prices: Prices,
) -> list[Section]:
    note = " ".join(f"{name}: {METRICS.summary(name)}" for name in METRICS.names())
    return [
        Section("Leaderboard", [tables.leaders(board)], _pick(drawn, "forest")),
        Section("Is the difference real?", [tables.comparisons(board)]),
        Section(
            "More than one metric",
            [
                *(tables.metrics(board, keys([k]), f"Metrics at {k}", note if k == 10 else "") for k in (10, 20)),
                tables.metrics(board, tables.ITEM_GROUPS, "By the popularity of the held-out items"),
            ],
            _pick(drawn, "groups"),
        ),
        Section(
            "What it costs",
            [tables.budgets(studies), costs({study.model: study for study in studies}, prices)],
            _pick(drawn, "cost", "parameters"),
        ),
        Section("Can validation be trusted?", plots=_pick(drawn, "validation")),
        Section("What users would get", [examples(studies)]),
        Section("Beside the papers", [tables.papers(figures)], _pick(drawn, "papers")),
    ]


def _searches(studies: Sequence[StudyRuns]) -> list[Section]:
    history = search_plots.search_history(studies)
    found = [Section("The search", plots=[history])] if history else []
    return found + [
        Section(
            f"{study.model} in detail",
            [tables.best_params(study), tables.trials(study)],
            search_plots.model_plots(study),
            folded=True,
        )
        for study in studies
    ]


def _meaning(evidence: Evidence) -> Section:
    return Section("Definitions and commands", [definitions(evidence), commands(evidence)])


def _pick(drawn: dict[str, Plot], *names: str) -> list[Plot]:
    return [drawn[name] for name in names if name in drawn]
