"""Figures of bars side by side: groups of users, and the papers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from unblur.formatting import NONE, shown
from unblur.reporting.figure import INK, Plot, drawing, figure_of, legend, looks, tell
from unblur.reporting.leaderboard import Leaderboard
from unblur.reporting.papers import Beside
from unblur.reporting.tables import Table

HISTORY_LENGTH = "n_history"  # a column of the per-user results, where it is kept
GROUPS = 4


@dataclass(frozen=True)
class Bar:
    """A value, and how far its error bar goes to either side."""

    value: float
    error: float | None = None

    @property
    def text(self) -> str:
        """The numbers, as a table has them."""
        return f"{self.value:.4f}" + ("" if self.error is None else f" ± {self.error:.4f}")


def user_groups(board: Leaderboard) -> Plot | None:
    """Accuracy for users with few and with many interactions."""
    frames = {row.model: row.study.per_user for row in board.rows}
    there = {model: frame for model, frame in frames.items() if frame is not None and board.metric in frame}
    if not there:
        return None
    column = HISTORY_LENGTH if all(HISTORY_LENGTH in frame for frame in there.values()) else "n_relevant"
    what = "items in the history" if column == HISTORY_LENGTH else "held-out items"
    caption = f"Users in {GROUPS} groups of about the same size by the number of their {what}; bars: 95% intervals."
    if column == "n_relevant":
        caption += " A user with more held-out items has a longer history too, where the split takes a share of it."
    found = {model: dict(_grouped(frame, column, board.metric)) for model, frame in there.items()}
    return _plot("groups", "Few and many interactions", caption, what, board.metric, found, looks(list(frames)))


def _grouped(frame: pd.DataFrame, column: str, metric: str) -> Iterator[tuple[str, Bar]]:
    """Label, mean and half of the 95% interval of each group that has users."""
    parts = pd.qcut(frame[column], GROUPS, labels=False, duplicates="drop").fillna(0)
    for _, part in frame.groupby(parts):
        low, high = int(part[column].min()), int(part[column].max())
        error = 1.96 * float(stats.sem(part[metric])) if len(part) > 1 else 0.0
        label = str(low) if low == high else f"{low} to {high}"
        yield f"{label} ({len(part):,} users)", Bar(float(part[metric].mean()), error)


def papers(figures: Sequence[Beside], metric: str) -> Plot | None:
    """Ours and the papers' for the deciding metric."""
    chosen = sorted((each for each in figures if each.published.metric == metric), key=lambda each: -each.ours)
    if not chosen:
        return None
    found: dict[str, dict[str, Bar]] = {"ours": {each.published.model: Bar(each.ours) for each in chosen}}
    for each in chosen:
        found.setdefault(each.published.source, {})[each.published.model] = Bar(each.published.value)
    caption = "The table above has the numbers, and says where data or protocol differ."
    return _plot("papers", "Beside the papers", caption, "", metric, found, looks(list(found)), table=False)


def _plot(
    name: str,
    title: str,
    caption: str,
    x: str,
    metric: str,
    found: Mapping[str, Mapping[str, Bar]],
    look: Mapping[str, Mapping[str, Any]],
    table: bool = True,
) -> Plot:
    """Bars of each series (outer) side by side in each group (inner)."""
    groups = list(dict.fromkeys(group for series in found.values() for group in series))
    width = 0.8 / len(found)
    with drawing(x, f"test {shown(metric)}") as axes:
        for place, (series, bars) in enumerate(found.items()):
            at = [groups.index(group) + (place - (len(found) - 1) / 2) * width for group in bars]
            _series(axes, series, bars, at, width, look[series]["color"])
        axes.set_xticks(range(len(groups)), groups)
        axes.grid(axis="x", visible=False)
        legend(axes)
    rows = [[series, *(bars[g].text if g in bars else NONE for g in groups)] for series, bars in found.items()]
    numbers = Table(title, ["model", *groups], rows) if table else None
    return Plot(name, title, caption, figure_of(axes), numbers)


def _series(axes: Axes, name: str, bars: Mapping[str, Bar], at: Sequence[float], width: float, color: str) -> None:
    """The bars of one series, and how sure they are."""
    drawn = axes.bar(at, [bar.value for bar in bars.values()], 0.94 * width, color=color, label=name)
    for patch, (group, bar) in zip(drawn, bars.items(), strict=True):
        tell(patch, [f"{name}, {group}: {bar.text}"])
    for place, bar in zip(at, bars.values(), strict=True):
        if bar.error is not None:
            axes.vlines(place, bar.value - bar.error, bar.value + bar.error, color=INK, linewidth=1)
