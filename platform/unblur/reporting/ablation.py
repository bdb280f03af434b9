"""An ablation's results: one line per measurement as CSV, a page with tables and plots, tables as Markdown, SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unblur.evaluation.measuring import parse_metric
from unblur.experiments.ablation import Ablation, Measured
from unblur.files import write_output
from unblur.formatting import shown
from unblur.reporting import ablation_tables as tables
from unblur.reporting.ablation_tables import mean_and_spread, metrics, told_value
from unblur.reporting.figure import Plot, drawing, figure_of, legend, looks, panels
from unblur.reporting.page import Report, Section, to_html, to_markdown
from unblur.reporting.svg import saved

PARTS = {"valid": "validation", "test": "test"}
PANELS = ("coverage_at_10", "novelty_at_10", "popularity_at_10")
"""Of the curves, beside the study's own metric."""


def write(study: Ablation, results: Sequence[Measured], page: Path) -> None:
    """Write `page`, and beside it CSV, Markdown and each part's curves as SVG; UserError when that cannot be done."""
    frame = as_frame(study, results)
    for part in PARTS:
        if len(mine := frame[frame.part == part]):
            drawn = saved(curves(study, mine), "unblur", transparent=False)
            write_output(page.with_suffix(f".{part}.svg"), drawn, "--output")
    told = report(study, frame)
    write_output(page.with_suffix(".csv"), frame.to_csv(index=False), "--output")
    write_output(page.with_suffix(".md"), to_markdown(told), "--output")
    write_output(page, to_html(told), "--output")


def as_frame(study: Ablation, results: Sequence[Measured]) -> pd.DataFrame:
    """One row per cell, seed, point and part: the axes, as far as the model has them, what it cost, every metric."""
    axes = dict.fromkeys(study.axes)
    rows = [
        {**axes, **each.labels, "seed": each.seed, "part": each.part, **each.facts, **each.metrics} for each in results
    ]
    return pd.DataFrame(rows, columns=None if rows else [*study.axes, "seed", "part"])


def report(study: Ablation, frame: pd.DataFrame) -> Report:
    """What validation chooses; tables and plots of each part that is measured."""
    told = [f"Repeats {study.figure}."] if study.figure else []
    trained = frame.drop_duplicates([*study.grid, "seed"]) if len(frame) else frame
    total = len(study.trainings())
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
    with drawing(study.x, shown(metric), height=420) as axes:
        _lines(axes, study, frame, metric, marker="o")
        if len(study.axes) > 1:
            legend(axes)
    caption = "Mean over seeds; bars: one standard deviation. The tables above have the numbers."
    return Plot(f"{part}-{metric}", shown(metric), caption, figure_of(axes))


def curves(study: Ablation, frame: pd.DataFrame) -> Figure:
    """One part's results along x for a document: a panel for each metric that tells accuracy, reach or taste."""
    told = [name for name in dict.fromkeys([parse_metric(study.metric), *PANELS]) if name in frame]
    rows, lines = -(-len(told) // 2), len(tables.by_line(study, frame))
    with panels(rows, 2, height=230 * rows + 9 * lines) as grid:
        first, *others = [axes for row in grid for axes in row]
        for axes, metric in zip([first, *others], told, strict=False):
            _lines(axes, study, frame, metric, marker="" if frame[study.x].nunique() > 1 else "o")
            axes.set(xlabel=study.x, title=shown(metric))
        for axes in others[len(told) - 1 :]:
            axes.remove()
        if len(study.axes) > 1:
            figure_of(first).legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure_of(first)


def _lines(axes: Axes, study: Ablation, frame: pd.DataFrame, metric: str, marker: str) -> None:
    """A line for each combination of the axes beside x."""
    numeric = pd.api.types.is_numeric_dtype(frame[study.x]) and not pd.api.types.is_bool_dtype(frame[study.x])
    lines = tables.by_line(study, frame)
    look = looks([name for name, _ in lines])
    for name, mine in lines:
        _line(axes, study.x, mine, metric, numeric, label=name, marker=marker, **look[name])


def _line(axes: Axes, x: str, frame: pd.DataFrame, metric: str, numeric: bool, **look: Any) -> None:
    groups = [(value, *mean_and_spread(mine[metric])) for value, mine in frame.groupby(x, sort=numeric)]
    at: list[Any] = [value if numeric else told_value(value) for value, _, _ in groups]
    means, spreads = [mean for _, mean, _ in groups], [spread or 0.0 for _, _, spread in groups]
    axes.errorbar(at, means, spreads if any(spreads) else None, elinewidth=1, **look)
