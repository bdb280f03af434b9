"""The papers' own figures for our datasets (`papers.csv`), beside ours."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unblur.reporting.runs import StudyRuns

FILE = Path(__file__).with_name("papers.csv")


@dataclass(frozen=True)
class Published:
    """One figure: `model` is our name for what the paper calls `name`; `note` says why it is not quite comparable."""

    dataset: str
    model: str
    metric: str
    value: float
    source: str
    name: str
    note: str


@dataclass(frozen=True)
class Beside:
    """Our mean over seeds and a paper's figure for the same model, data and metric."""

    published: Published
    ours: float

    @property
    def ratio(self) -> float:
        return self.ours / self.published.value - 1 if self.published.value else 0.0


@cache
def published() -> tuple[Published, ...]:
    """All figures."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return tuple(Published(**{**row, "value": float(row["value"])}) for row in csv.DictReader(file))  # type: ignore[arg-type]


def beside(studies: Sequence[StudyRuns], dataset: str, protocol: str, metrics: Sequence[str]) -> list[Beside]:
    """Every published figure that has a counterpart here. Protocols that add noise of our own have none."""
    ours = {_plain(study.model): study for study in studies if protocol == "clean"}
    return [
        Beside(each, ours[_plain(each.model)].test(each.metric))
        for each in published()
        if each.dataset == dataset and each.metric in metrics and _plain(each.model) in ours
        if each.metric in ours[_plain(each.model)].tests
    ]


def _plain(model: str) -> str:
    return model.replace("_", "")
