"""The report over several datasets: sentences, tables and a figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import pandas as pd

from unblur.evaluation.many_datasets import datasets_needed
from unblur.evaluation.measuring import spelled
from unblur.formatting import NONE, counted, p_value, percent, probability, shown
from unblur.reporting.costs import Prices, costs
from unblur.reporting.figure import COLORS, Plot, categories, drawing, figure_of, legend, looks, tell
from unblur.reporting.page import Report, Section
from unblur.reporting.result import Result
from unblur.reporting.runs import StudyRuns
from unblur.reporting.several import Duel, Several, Standings, Trust
from unblur.reporting.tables import Table


@dataclass(frozen=True)
class SeveralResult(Result):
    """What the studies of several datasets say together, as MLflow has them."""

    several: Several

    @classmethod
    def of(cls, several: Several, prices: Prices = Prices()) -> Self:  # noqa: B008 - frozen
        """The report of this evidence."""
        return cls(build(several, prices), several)

    def frame(self) -> pd.DataFrame:
        """A row per dataset and model: the metric that decided, validation, the mean on the test, and both ranks."""
        rows = [
            {
                "dataset": each.dataset,
                "model": each.row.model,
                "metric": spelled(each.row.study.metric),
                "validation": each.chosen,
                "test": each.row.mean,
                "validation_rank": each.ranks[0],
                "test_rank": each.ranks[1],
            }
            for each in self.several.trust
        ]
        return pd.DataFrame(rows)


def build(several: Several, prices: Prices = Prices()) -> Report:  # noqa: B008 - frozen
    """All that the report says."""
    made, protocol = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", several.evidence[0].protocol
    ranks, trust = _rank_plot(several.standings), _trust_plot(several.trust)
    return Report(
        title=f"{', '.join(several.datasets)}: what holds over all of them?",
        subtitle=f"Protocol {protocol}; {counted(len(several.datasets), 'dataset')}; {made}",
        verdict=[*_ranked(several), *_families(several.duels), *_choices(several)],
        reservations=_reservations(several),
        sections=[
            Section("Ranks over datasets", [_ranks(several)], [ranks] if ranks else []),
            Section("Diffusion against baselines", [_duels(several.duels)]),
            Section("Can validation be trusted?", [_trust(several)], [trust] if trust else []),
            Section("What it costs", [costs(_labelled(several), prices)]),
        ],
    )


def _labelled(several: Several) -> dict[str, StudyRuns]:
    """Every study by its dataset and model."""
    return {f"{each.dataset}: {study.model}": study for each in several.evidence for study in each.studies}


def _ranked(several: Several) -> list[str]:
    found, datasets = several.standings, len(several.datasets)
    if len(found.models) < 2:
        return [f"Fewer than two models were tested on all of {datasets} datasets, so there are no ranks to compare."]
    models, apart = len(found.models), found.difference or 0.0
    said = (
        f"Of {models} models tested on all of {datasets} datasets {found.models[0]} has the best average rank, "
        f"{found.average[0]:.2f}"
    )
    if apart > models - 1:
        least = datasets_needed(models, models - 1)
        return [
            f"{said}; ranks alone show nothing yet: even always first and always last cannot be told apart before "
            f"{least} datasets (critical difference {apart:.2f})."
        ]
    level = found.level_with_best
    ahead = f"not significantly ahead of {', '.join(level)}" if level else "significantly ahead of all others"
    needed = datasets_needed(models, 1)
    return [
        f"{said}, {ahead} (Nemenyi, critical difference {apart:.2f}; to tell models apart that lie one rank "
        f"from each other takes {needed} datasets)."
    ]


def _families(duels: Sequence[Duel]) -> list[str]:
    tested = [(duel, duel.found) for duel in duels if duel.found]
    if not tested:
        return []
    ahead = [(duel, found) for duel, found in tested if found.difference > 0]
    behind = [(duel, found) for duel, found in tested if found.difference <= 0]
    sure = [duel.dataset for duel, found in ahead if found.significant]
    lost = [duel.dataset for duel, found in behind if found.significant]
    return [
        f"The best diffusion model by validation is ahead of the best baseline by validation on {len(ahead)} of "
        f"{counted(len(tested), 'dataset')}, significantly on {_names(sure)}; behind on {len(behind)}, significantly "
        f"on {_names(lost)} (paired over users, Holm over the datasets)."
    ]


def _names(datasets: Sequence[str]) -> str:
    return ", ".join(datasets) or "none"


def _choices(several: Several) -> list[str]:
    choices = several.choices
    if not choices:
        return []
    wrong = [each for each in choices if each.taken is not each.best]
    said = f"The model best on validation is best on the test on {len(choices) - len(wrong)} of {len(choices)}"
    costs = [f"{each.cost:.1%} on {each.dataset} ({each.taken.model} for {each.best.model})" for each in wrong]
    return [f"{said}; choosing by validation costs {', '.join(costs)}." if costs else f"{said}."]


def _reservations(several: Several) -> list[str]:
    studies = [study for each in several.evidence for study in each.studies]
    found = [
        *_differing("metric that decided", several, lambda study: shown(study.metric)),
        *_differing("history at the test", several, lambda study: study.history),
        *_differing("selection", several, lambda study: f"validation {study.validation}"),
    ]
    found += [
        f"Not ranked, since it was not tested on {', '.join(lacks)}: {model}."
        for model, lacks in several.standings.missing.items()
    ]
    if any(study.trials for study in studies):
        found.append("Budgets, seeds and openings of each test set are told by the dataset's own report.")
    return found + [f"{each.dataset}: {note}" for each in several.evidence for note in each.notes]


def _differing(what: str, several: Several, of: Callable[[StudyRuns], str]) -> list[str]:
    """A setting that is not the same on all datasets; within one it is, or a note says otherwise."""
    values = {each.dataset: of(each.studies[-1]) for each in several.evidence}
    if len(set(values.values())) == 1:
        return []
    return [f"The {what} differs: {', '.join(f'{name} {value}' for name, value in values.items())}."]


def _ranks(several: Several) -> Table:
    found = several.standings
    rows = [
        [model, f"{average:.2f}", *(f"{rank:g}" for rank in found.by_dataset[:, place])]
        for place, (model, average) in enumerate(zip(found.models, found.average, strict=True))
    ]
    note = "Ranks by the mean on the test, 1 the best; equal models share the mean of their places."
    if found.difference is not None:
        models = len(found.models)
        note += (
            f" Two average ranks differ significantly where they are {found.difference:.2f} apart (Nemenyi, 5%, all "
            f"pairs together): from {datasets_needed(models, models - 1)} datasets on this can happen at all, from "
            f"{datasets_needed(models, 1)} on for models one rank apart."
        )
    if found.p is not None:
        note += f" All models alike (Friedman): {p_value(found.p)}, a rough figure below ten datasets."
    return Table("Average ranks", ["model", "average rank", *several.datasets], rows, note)


def _duels(duels: Sequence[Duel]) -> Table:
    columns = ["dataset", "metric", "diffusion", "baseline", "difference", "95% interval", "in %", "p", "p (Holm)"]
    note = (
        "The best of each family by validation, so that neither gains by being one of many; difference of the means "
        "over users, bootstrap interval, paired t-test; Holm over the datasets. Detectable: the smallest true "
        "difference, as a share of the baseline's mean, that these users would show with a probability of 80%."
    )
    return Table("Best diffusion model against best baseline", [*columns, "detectable"], [*map(_duel, duels)], note)


def _duel(duel: Duel) -> list[str]:
    sides = [f"{row.model} {row.mean:.4f}" for row in (duel.diffusion, duel.baseline)]
    first = [duel.dataset, shown(duel.metric), *sides]
    found, base = duel.found, duel.baseline.mean
    if found is None:
        return [*first, *[NONE] * 6]
    interval = f"{found.low:+.4f} to {found.high:+.4f}"
    tests = [probability(found.p_t), probability(found.p_holm)]
    detectable = f"{found.detectable / base:.1%}" if base else NONE
    share = found.difference / base if base else None
    return [*first, f"{found.difference:+.4f}", interval, percent(share), *tests, detectable]


def _trust(several: Several) -> Table:
    rows = [
        [
            each.dataset,
            each.row.model,
            f"{each.chosen:.4f}",
            NONE if each.final is None else f"{each.final:.4f}",
            percent(None if each.luck is None else -each.luck),
            f"{each.row.mean:.4f}",
            NONE if each.kept is None else f"{each.kept:.0%}",
            *(f"{rank:g}" for rank in each.ranks),
        ]
        for each in several.trust
    ]
    columns = ["dataset", "model", "chosen by", "trained again", "change", "test", "test / chosen by"]
    note = (
        "Chosen by: the best trial's value on validation. Trained again: the same configuration's with the seeds of "
        "the final runs; what is missing there was luck of the best of many trials. Test and validation are other "
        "parts of the data, so that their ratio says something in comparison alone: a model that keeps less than the "
        "others on its dataset was tuned to its validation."
    )
    return Table("Validation against test", [*columns, "rank on validation", "rank on test"], rows, note)


def _rank_plot(found: Standings) -> Plot | None:
    """Average ranks; what lies in the band cannot be told from the best."""
    if found.difference is None:
        return None
    with drawing("average rank", "", 90 + 32 * len(found.models)) as axes:
        axes.axvspan(found.average[0], found.average[0] + found.difference, color=COLORS[0], alpha=0.15, linewidth=0)
        dots = axes.scatter(found.average, range(len(found.models)), s=70, color=COLORS[0])
        tell(dots, [f"{model}: {rank:.2f}" for model, rank in zip(found.models, found.average, strict=True)])
        categories(axes, found.models)
    caption = "Left is better; models in the band cannot be told from the best (Nemenyi's critical difference)."
    return Plot("ranks", "Average ranks", caption + " The table above has the numbers.", figure_of(axes))


def _trust_plot(trust: Sequence[Trust]) -> Plot | None:
    """What a model came to on the test against what it was chosen by, a colour and dashes for each dataset."""
    if not trust:
        return None
    datasets = {name: [each for each in trust if each.dataset == name] for name in {each.dataset: 0 for each in trust}}
    look = looks(list(datasets))
    with drawing("chosen by, on validation", "test", 400) as axes:
        for name, mine in datasets.items():
            mine = sorted(mine, key=lambda each: each.chosen)
            at = [each.chosen for each in mine], [each.row.mean for each in mine]
            axes.plot(*at, label=name, linewidth=0.8, **look[name])
            tell(axes.scatter(*at, s=50, color=look[name]["color"]), [_told(each) for each in mine])
        legend(axes)
    caption = "A dot is a model; where a dataset's line falls, validation put two models in the other order."
    return Plot("validation", "Validation against test", caption, figure_of(axes))


def _told(each: Trust) -> str:
    return f"{each.row.model} on {each.dataset}: validation {each.chosen:.4f}, test {each.row.mean:.4f}"
