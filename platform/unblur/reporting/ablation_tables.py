"""An ablation's tables: what validation chooses, the study's metric along x, and everything."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from unblur.evaluation.measuring import keys, parse_metric
from unblur.experiments.ablation import NEWEST, SHARE, Ablation
from unblur.formatting import NONE, setting, shown, with_spread
from unblur.reporting.tables import Table

COSTS = {"seconds": "seconds of training", "memory_mib": "its memory, MiB"}


def metrics(study: Ablation, frame: pd.DataFrame) -> list[str]:
    """What is told of every point: the study's metric first, then every metric at 10 that was measured."""
    return [name for name in dict.fromkeys([parse_metric(study.metric), *keys([10])]) if name in frame]


def chosen(study: Ablation, frame: pd.DataFrame) -> Table:
    """The best on validation for each value of the first axis, or of one that is the data's; its figures on test."""
    given = [axis for axis in (SHARE, NEWEST) if axis in study.axes]  # nobody chooses on it
    by = next(iter(given), study.axes[0] if len(study.axes) > 1 else None)
    decides, told = parse_metric(study.metric), metrics(study, frame)
    valid, test = (frame[frame.part == part] for part in ("valid", "test"))
    groups = [mine for _, mine in valid.groupby(by, sort=False, dropna=False)] if by else [valid]
    rows = []
    for mine in groups:
        best = mine.groupby(study.axes, sort=False, dropna=False)[decides].mean().idxmax()
        values = best if isinstance(best, tuple) else (best,)
        on_valid, on_test = (_at(part, study.axes, values) for part in (mine, test))
        rows.append([*map(told_value, values), _told(on_valid, decides), *(_told(on_test, metric) for metric in told)])
    columns = [*study.axes, f"validation {shown(decides)}", *(f"test {shown(metric)}" for metric in told)]
    best_of = f"For each {by}, the best" if by else "The best"
    return Table("Chosen on validation", columns, rows, f"{best_of} mean over seeds on validation.")


def along_x(study: Ablation, frame: pd.DataFrame) -> list[Table]:
    """The study's metric with a column for each value of x, if there are other axes."""
    others = [axis for axis in study.axes if axis != study.x]
    if not others:
        return []
    decides, xs = parse_metric(study.metric), frame[study.x].dropna().unique().tolist()
    if pd.api.types.is_numeric_dtype(frame[study.x]):
        xs.sort()  # a cell that has no other point may come first
    rows = [
        [*map(told_value, values), *(_told(mine[mine[study.x] == x], decides) for x in xs)]
        for values, mine in frame.groupby(others, sort=False, dropna=False)
    ]
    return [Table(f"{shown(decides)} by {study.x}", [*others, *map(told_value, xs)], rows, "Means over seeds.")]


def every(study: Ablation, frame: pd.DataFrame) -> Table:
    """Every point with every metric."""
    rows = []
    for values, mine in frame.groupby(study.axes, sort=False, dropna=False):
        told = [_told(mine, metric) for metric in metrics(study, frame)]
        rows.append([*map(told_value, values), str(len(mine)), *told, *(_whole(mine, cost) for cost in COSTS)])
    columns = [*study.axes, "seeds", *map(shown, metrics(study, frame)), *COSTS.values()]
    return Table("Means over seeds", columns, rows)


def by_line(study: Ablation, frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The points along x for each combination of the other axes, by its name; nameless where there are none."""
    others = [axis for axis in study.axes if axis != study.x]
    groups = frame.groupby(others, sort=False, dropna=False) if others else [((), frame)]
    return [(_named(study, others, values), mine) for values, mine in groups]


def _named(study: Ablation, axes: Sequence[str], values: Sequence[Any]) -> str:
    """By its values; an axis that the model does not have is left out, and a name of our own stands for itself."""
    told = [(axis, setting(value)) for axis, value in zip(axes, values, strict=True) if not pd.isna(value)]
    return ", ".join(value if isinstance(study.grid.get(axis), dict) else f"{axis} {value}" for axis, value in told)


def told_value(value: Any) -> str:
    """A value of an axis; one that the model does not have is none."""
    return NONE if pd.isna(value) else setting(value)


def mean_and_spread(values: "pd.Series[float]") -> tuple[float, float | None]:
    """Mean and, of more than one value, standard deviation."""
    return float(values.mean()), float(values.std()) if len(values) > 1 else None


def _at(frame: pd.DataFrame, axes: Sequence[str], values: Sequence[Any]) -> pd.DataFrame:
    for axis, value in zip(axes, values, strict=True):
        frame = frame[frame[axis].isna() if pd.isna(value) else frame[axis] == value]
    return frame


def _whole(frame: pd.DataFrame, name: str) -> str:
    mean = pd.to_numeric(frame[name]).mean() if name in frame else float("nan")
    return NONE if pd.isna(mean) else f"{mean:.0f}"


def _told(frame: pd.DataFrame, metric: str) -> str:
    return with_spread(*mean_and_spread(frame[metric])) if len(frame) else NONE
