"""What the studies of one protocol say over several datasets: ranks, families, what validation is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unblur.evaluation.many_datasets import critical_difference, friedman, ranks
from unblur.evaluation.protocol import GIVEN
from unblur.evaluation.significance import Comparison, holm
from unblur.reporting.leaderboard import Leaderboard, Row, leaderboard
from unblur.reporting.runs import Evidence
from unblur.reporting.verdict import is_diffusion

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Standings:
    """Models by their average rank over the datasets on which all of them were tested."""

    models: list[str]
    """Best first."""
    average: list[float]
    by_dataset: Values
    """Ranks (D, M), 1 the best."""
    difference: float | None
    """Nemenyi's critical difference; None for a single model."""
    p: float | None
    """Friedman's; None for less than three models."""
    missing: dict[str, list[str]]
    """Models that are not ranked, and the datasets they lack."""

    @property
    def level_with_best(self) -> list[str]:
        """Whom the best cannot be told from."""
        if self.difference is None:
            return []
        pairs = zip(self.models[1:], self.average[1:], strict=True)
        return [model for model, rank in pairs if rank - self.average[0] < self.difference]


@dataclass(frozen=True)
class Duel:
    """The best diffusion model of a dataset against its best baseline, both chosen on validation."""

    dataset: str
    metric: str
    diffusion: Row
    baseline: Row
    found: Comparison | None
    """Diffusion minus baseline over users, p corrected for the datasets; None without per-user results."""


@dataclass(frozen=True)
class Trust:
    """What a model's validation was worth: how it stood there, and how it stands on the test."""

    dataset: str
    row: Row
    chosen: float
    """On validation, of the trial that was chosen by it."""
    final: float | None
    """The same configuration's on validation, trained again; None where that is not known, or of another validation."""
    ranks: tuple[float, float]
    """On validation and on the test."""

    @property
    def luck(self) -> float | None:
        """What of the chosen trial's value did not come back with other seeds, as a share."""
        return None if self.final is None or not self.chosen else 1 - self.final / self.chosen

    @property
    def kept(self) -> float | None:
        """Test over validation."""
        return self.row.mean / self.chosen if self.chosen else None


@dataclass(frozen=True)
class Choice:
    """What choosing a dataset's model by validation costs."""

    dataset: str
    taken: Row
    """The best on validation."""
    best: Row
    """On the test."""

    @property
    def cost(self) -> float:
        """The share of the best's test mean that whoever takes the other goes without."""
        return 1 - self.taken.mean / self.best.mean if self.best.mean else 0.0


@dataclass(frozen=True)
class Several:
    """The evidence of each dataset, and its leaderboard by the metric that decided there."""

    evidence: Sequence[Evidence]

    @cached_property
    def boards(self) -> list[Leaderboard]:
        return [leaderboard(each.studies, each.studies[-1].metric) for each in self.evidence]

    @property
    def datasets(self) -> list[str]:
        return [each.dataset for each in self.evidence]

    @cached_property
    def standings(self) -> Standings:
        tested = [{row.model: row.mean for row in board.rows} for board in self.boards]
        everyone = sorted(set().union(*tested))
        common = [model for model in everyone if all(model in each for each in tested)]
        missing = {
            model: [d for d, each in zip(self.datasets, tested, strict=True) if model not in each]
            for model in everyone
            if model not in common
        }
        if not common:
            return Standings([], [], np.zeros((len(tested), 0)), None, None, missing)
        table = np.array([[each[model] for model in common] for each in tested])
        order = np.argsort(ranks(table).mean(axis=0), kind="stable")
        found = ranks(table)[:, order]
        return Standings(
            models=[common[place] for place in order],
            average=found.mean(axis=0).tolist(),
            by_dataset=found,
            difference=critical_difference(len(common), len(tested)) if len(common) > 1 else None,
            p=friedman(table),
            missing=missing,
        )

    @cached_property
    def duels(self) -> list[Duel]:
        """One for each dataset that has both; p after Holm over these datasets."""
        held = [_duel(name, board) for name, board in zip(self.datasets, self.boards, strict=True)]
        duels = [duel for duel in held if duel is not None]
        corrected = iter(holm([duel.found.p_t for duel in duels if duel.found]).tolist())
        return [
            replace(duel, found=replace(duel.found, p_holm=next(corrected))) if duel.found else duel for duel in duels
        ]

    @cached_property
    def trust(self) -> list[Trust]:
        return [each for name, board in zip(self.datasets, self.boards, strict=True) for each in _trust(name, board)]

    @cached_property
    def choices(self) -> list[Choice]:
        """One for each dataset on which validation is known."""
        held = [(name, _validated(board)) for name, board in zip(self.datasets, self.boards, strict=True)]
        return [Choice(name, max(rows, key=_chosen), rows[0]) for name, rows in held if rows]


def _chosen(row: Row) -> float:
    value = row.study.chosen_value()
    return -np.inf if value is None else value


def _validated(board: Leaderboard) -> list[Row]:
    return [row for row in board.rows if row.study.chosen_value() is not None]


def _duel(dataset: str, board: Leaderboard) -> Duel | None:
    """By validation: the best of several by the test would be ahead by luck, the more so the more there are."""
    families = [[row for row in board.rows if is_diffusion(row.model) is kind] for kind in (True, False)]
    if not all(families):
        return None
    diffusion, baseline = (max(family, key=_chosen) for family in families)
    return Duel(dataset, board.metric, diffusion, baseline, board.compare(diffusion.model, baseline.model))


def _trust(dataset: str, board: Leaderboard) -> list[Trust]:
    rows = _validated(board)
    if not rows:
        return []
    places = ranks(np.array([[_chosen(row) for row in rows], [row.mean for row in rows]]))
    return [
        Trust(
            dataset,
            row,
            _chosen(row),
            row.study.final_value() if row.study.validation == GIVEN else None,
            (float(places[0, place]), float(places[1, place])),
        )
        for place, row in enumerate(rows)
    ]
