"""An ablation's results: one line per measurement as CSV, a page with tables and plots, the tables as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from unblur.experiments.ablation import Ablation, Measured
from unblur.files import write_output
from unblur.formatting import setting, shown
from unblur.reporting import ablation_tables as tables
from unblur.reporting.ablation_tables import mean_and_spread, metrics
from unblur.reporting.figure import Plot, drawing, figure_of, legend, looks
from unblur.reporting.page import Report, Section, to_html, to_markdown

PARTS = {"valid": "validation", "test": "test"}


def write(study: Ablation, results: Sequence[Measured], page: Path) -> None:
    """Write `page` and the CSV and Markdown files beside it; UserError when that cannot be done."""
    frame = as_frame(study, results)
    told = report(study, frame)
    write_output(page.with_suffix(".csv"), frame.to_csv(index=False), "--output")
    write_output(page.with_suffix(".md"), to_markdown(told), "--output")
    write_output(page, to_html(told), "--output")


def as_frame(study: Ablation, results: Sequence[Measured]) -> pd.DataFrame:
    """One row per cell, seed, point and part: the axes, what the training was, every metric."""
    rows = [{**each.labels, "seed": each.seed, "part": each.part, **each.facts, **each.metrics} for each in results]
    return pd.DataFrame(rows, columns=None if rows else [*study.axes, "seed", "part"])


def report(study: Ablation, frame: pd.DataFrame) -> Report:
    """What validation chooses; tables and plots of each part that is measured."""
    told = [f"Repeats {study.figure}."] if study.figure else []
    trained = frame.drop_duplicates([*study.grid, "seed"]) if len(frame) else frame
    total = len(study.cells()) * study.seeds
    reservations = [
        f"Mean ± standard deviation over seeds; the epoch is chosen by {study.metric} on validation, at the study's "
        "own values of what is swept afterwards."
    ]
    if len(trained) < total:
        reservations.append(f"{total - len(trained)} of {total} trainings are not done yet.")
    sections = [Section("Chosen on validation", [tables.chosen(study, frame)])] if len(frame) else []
    for part, word in PARTS.items():
        mine = frame[frame.part == part]
        if len(mine):
            plots = [_plot(study, mine, metric, part) for metric in metrics(study, frame)]
            sections.append(Section(f"On {word}", [*tables.along_x(study, mine), tables.every(study, mine)], plots))
    subtitle = f"{study.model} on {study.dataset}; {len(trained)} of {total} trainings"
    return Report(f"Ablation: {study.name}", subtitle, [study.question.strip(), *told], reservations, sections)


def _plot(study: Ablation, frame: pd.DataFrame, metric: str, part: str) -> Plot:
    """The metric along x, a line for each combination of the other axes; bars are one standard deviation."""
    others = [axis for axis in study.axes if axis != study.x]
    groups = list(frame.groupby(others, sort=False, dropna=False)) if others else [((), frame)]
    lines = [(_named(others, values), mine) for values, mine in groups]
    look = looks([name for name, _ in lines])
    numeric = pd.api.types.is_numeric_dtype(frame[study.x]) and not pd.api.types.is_bool_dtype(frame[study.x])
    with drawing(study.x, shown(metric), height=420) as axes:
        for name, mine in lines:
            _line(axes, study.x, mine, metric, numeric, label=name, **look[name])
        if others:
            legend(axes)
    caption = "Mean over seeds; bars: one standard deviation. The tables above have the numbers."
    return Plot(f"{part}-{metric}", shown(metric), caption, figure_of(axes))


def _named(axes: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f"{axis} {setting(value)}" for axis, value in zip(axes, values, strict=True))


def _line(axes: Axes, x: str, frame: pd.DataFrame, metric: str, numeric: bool, **look: Any) -> None:
    groups = [(value, *mean_and_spread(mine[metric])) for value, mine in frame.groupby(x, sort=numeric)]
    at: list[Any] = [value if numeric else setting(value) for value, _, _ in groups]
    means, spreads = [mean for _, mean, _ in groups], [spread or 0.0 for _, _, spread in groups]
    axes.errorbar(at, means, spreads, marker="o", elinewidth=1, **look)
