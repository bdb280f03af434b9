"""Who is ahead, and by more than luck? Every pair of models is tested over the same users, with one Holm correction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unblur.evaluation.significance import CONFIDENCE, Comparison, bootstrap_interval, compare, holm, welch
from unblur.reporting.letters import Pair, letters
from unblur.reporting.runs import StudyRuns

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A model's place. `mean`, `std` and `values` are MLflow's; the interval is over users."""

    model: str
    study: StudyRuns
    mean: float
    std: float | None
    values: list[float]
    interval: tuple[float, float] | None
    group: str


class Leaderboard:
    """Models by their mean on the test set, best first."""

    def __init__(self, metric: str, rows: list[Row], users: Mapping[str, Values], p_holm: Mapping[Pair, float]) -> None:
        self.metric, self.rows = metric, rows
        self._users, self._p_holm = users, p_holm
        self._compared: dict[Pair, Comparison] = {}

    @property
    def n_users(self) -> int:
        """The users whom all tested models have in common."""
        return len(next(iter(self._users.values()), ()))

    @property
    def n_pairs(self) -> int:
        return len(self._p_holm)

    def row(self, model: str) -> Row | None:
        return next((row for row in self.rows if row.model == model), None)

    def compare(self, model: str, other: str) -> Comparison | None:
        """`model` minus `other`, its p-value corrected for all pairs; None without per-user results of both."""
        if model not in self._users or other not in self._users:
            return None
        if (model, other) not in self._compared:
            found = compare(self._users[model], self._users[other])
            self._compared[model, other] = replace(found, p_holm=self._p_holm[_pair(model, other)])
        return self._compared[model, other]

    def p_seeds(self, model: str, other: str) -> float | None:
        """Welch's t-test over seeds: would other seeds turn the order? None where seeds make no difference."""
        one, two = self.row(model), self.row(other)
        return None if one is None or two is None else welch(one.values, two.values)


def leaderboard(studies: Sequence[StudyRuns], metric: str) -> Leaderboard:
    """The leaderboard by one metric (`ndcg_at_10`)."""
    ordered = sorted((study for study in studies if metric in study.tests), key=lambda study: -study.test(metric))
    users = _paired(ordered, metric)
    p_holm = _all_pairs(users)
    different = [pair for pair, p in p_holm.items() if p < 1 - CONFIDENCE]
    marks = letters(list(users), different)
    rows = [
        Row(
            model=study.model,
            study=study,
            mean=study.test(metric),
            std=study.spread(metric),
            values=study.tests[metric],
            interval=bootstrap_interval(users[study.model]) if study.model in users else None,
            group=marks.get(study.model, ""),
        )
        for study in ordered
    ]
    return Leaderboard(metric, rows, users, p_holm)


def _paired(studies: Sequence[StudyRuns], metric: str) -> dict[str, Values]:
    """Every model's values (n,) for the same users in the same order."""
    frames = {
        study.model: study.per_user[metric]
        for study in studies
        if study.per_user is not None and metric in study.per_user
    }
    if not frames:
        return {}
    common = sorted(set.intersection(*(set(frame.index) for frame in frames.values())), key=str)
    if len(common) < 2:
        return {}
    return {model: frame.loc[common].to_numpy(np.float64) for model, frame in frames.items()}


def _all_pairs(users: Mapping[str, Values]) -> dict[Pair, float]:
    """Holm-corrected p-values of the paired t-tests between all models."""
    pairs = list(combinations(users, 2))
    if not pairs:
        return {}
    p_values = holm([_p(users[one] - users[other]) for one, other in pairs])
    return {_pair(*pair): float(p) for pair, p in zip(pairs, p_values, strict=True)}


def _p(d: Values) -> float:
    if np.ptp(d) == 0:  # without spread the test is undefined and the answer is plain
        return float(d[0] == 0)
    return float(stats.ttest_1samp(d, 0).pvalue)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
