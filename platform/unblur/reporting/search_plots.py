"""Figures of the search: its history, learning curves, what mattered, how parameters go together, guidance, time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from unblur.formatting import shown
from unblur.reporting.figure import (
    COLORS,
    Plot,
    by_rank,
    categories,
    counts,
    drawing,
    figure_of,
    legend,
    looks,
    panels,
    tell,
)
from unblur.reporting.guidance import response
from unblur.reporting.parallel import Axis, axis, parallel, ranked
from unblur.reporting.parameter_importance import Importance, importance
from unblur.reporting.runs import StudyRuns, Trial, varied
from unblur.reporting.tables import Table
from unblur.training.record import State

SLICES, COLUMNS = 9, 3


def search_history(studies: Sequence[StudyRuns]) -> Plot | None:
    """Every trial's value, and the best so far."""
    searched = [study for study in studies if study.done()]
    if not searched:
        return None
    look, metric = looks([study.model for study in studies]), f"validation {shown(searched[0].metric)}"
    with drawing("trial", f"{metric} (best epoch)", 400) as axes:
        for study in searched:
            _history(axes, study, look[study.model])
        counts(axes.xaxis)
        legend(axes)
    caption = "Dots: trials, crosses where they were pruned; lines: the best so far. Tables below have each trial."
    return Plot("history", "Search history", caption, figure_of(axes))


def _history(axes: Axes, study: StudyRuns, look: dict[str, Any]) -> None:
    trials = study.done()
    for dots, mine in _trials(axes, trials, [trial.number for trial in trials], look["color"]):
        tell(dots, [f"{study.model}, trial {trial.number}: {trial.value:.4f}" for trial in mine])
    complete = [trial.value if trial.state == State.COMPLETE else -np.inf for trial in trials]
    best = np.maximum.accumulate(np.array(complete, dtype=np.float64))
    best[np.isinf(best)] = np.nan  # none is complete yet
    axes.step([trial.number for trial in trials], best, where="post", label=study.model, **look)


def _trials(axes: Axes, trials: Sequence[Trial], x: Sequence[float], color: str) -> list[tuple[Artist, list[Trial]]]:
    """Trials' values against something of theirs: the points drawn, and whose they are."""
    drawn: list[tuple[Artist, list[Trial]]] = []
    for marker, pruned in (("o", False), ("x", True)):
        places = [i for i, trial in enumerate(trials) if (trial.state == State.PRUNED) is pruned]
        mine = [trials[i] for i in places]
        values = [trial.value or 0.0 for trial in mine]
        drawn.append((axes.scatter([x[i] for i in places], values, s=24, marker=marker, color=color), mine))
    return drawn


def model_plots(study: StudyRuns) -> list[Plot]:
    """Figures of one model's search."""
    found = importance(study)
    plots = [
        response(study),
        importances(study, found),
        slices(study, found),
        parallel(study, found),
        learning_curves(study),
        timeline(study),
    ]
    return [plot for plot in plots if plot is not None]


def importances(study: StudyRuns, found: Importance) -> Plot | None:
    """fANOVA's shares."""
    if not found.shares:
        return None
    names, shares = list(found.shares), list(found.shares.values())
    what = f"share of the variance of validation {shown(study.metric)}"
    with drawing(what, "", 90 + 26 * len(names)) as axes:
        bars = axes.barh(range(len(names)), shares, color=COLORS[0])
        axes.bar_label(bars, [f"{share:.1%}" for share in shares], padding=4)
        categories(axes, names)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.1)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    table = Table(
        "What mattered", ["parameter", what], [[name, f"{share:.1%}"] for name, share in found.shares.items()]
    )
    return Plot(f"importance-{study.model}", f"What mattered for {study.model}", found.caption, figure_of(axes), table)


def slices(study: StudyRuns, found: Importance) -> Plot | None:
    """The value against each parameter by itself."""
    trials = ranked(study.done())
    names, which = found.first(varied(trials), SLICES)
    if len(trials) < 2 or not names:
        return None
    rows = -(-len(names) // COLUMNS)
    with panels(rows, COLUMNS, 60 + 190 * rows, sharey=True) as grid:
        places = [place for row in grid for place in row]
        for place, name in zip(places, names, strict=False):
            _slice(place, trials, axis(name, [trial.settings.get(name) for trial in trials]))
        for empty in places[len(names) :]:
            empty.set_visible(False)
        for row in grid:
            row[0].set_ylabel(shown(study.metric))
    caption = f"Each trial's value on validation against one parameter at a time; the others vary.{which}"
    return Plot(f"slices-{study.model}", f"One parameter of {study.model} at a time", caption, figure_of(places[0]))


def _slice(place: Axes, trials: Sequence[Trial], each: Axis) -> None:
    _trials(place, trials, each.places, COLORS[0])
    place.set_title(each.name)
    ticks = each.ticks if len(each.ticks) < 5 else each.ticks[::2]
    place.set_xticks([where for where, _ in ticks], [text for _, text in ticks], size=9)
    labels = place.get_xticklabels()
    labels[0].set_horizontalalignment("left")  # not into the neighbour's
    labels[-1].set_horizontalalignment("right")


def learning_curves(study: StudyRuns) -> Plot | None:
    """Validation by epoch, of each trial."""
    trials = [trial for trial in ranked(study.done()) if len(trial.curve) > 1]
    if not trials:
        return None
    with drawing("epoch", f"validation {shown(study.metric)}", 400) as axes:
        counts(axes.xaxis)
        for trial, color in zip(trials, by_rank(len(trials)), strict=True):
            style = "--" if trial.state == State.PRUNED else "-"
            (line,) = axes.plot(*zip(*sorted(trial.curve.items()), strict=True), style, color=color, linewidth=1.3)
            tell(line, [f"trial {trial.number}: {trial.value:.4f}"])
    caption = "A line is a trial, dashed where it was pruned; colours from the worst to the best trial."
    title = f"Learning curves of {study.model}"
    return Plot(f"curves-{study.model}", title, caption, figure_of(axes))


def timeline(study: StudyRuns) -> Plot | None:
    """When each trial ran."""
    trials = [trial for trial in study.trials if trial.started is not None and trial.ended is not None]
    if len(trials) < 2:
        return None
    zero, look = min(trial.started or 0.0 for trial in trials), looks(list(State))
    with drawing("minutes since the first trial began", "trial", 130 + min(4 * len(trials), 400)) as axes:
        for state in dict.fromkeys(trial.state for trial in trials):
            _times(axes, [trial for trial in trials if trial.state == state], zero, look[state]["color"])
        axes.invert_yaxis()
        counts(axes.yaxis)
        legend(axes)
    caption = "Each trial from start to end on the clock, interruptions included; the table has the time trained."
    return Plot(f"timeline-{study.model}", f"Trials of {study.model} in time", caption, figure_of(axes))


def _times(axes: Axes, trials: Sequence[Trial], zero: float, color: str) -> None:
    """A line for each trial, in minutes; a dot at its start, since a short one would not be seen."""
    starts, ends = ([((at or 0.0) - zero) / 60 for at in times] for times in zip(*map(_span, trials), strict=True))
    numbers = [trial.number for trial in trials]
    axes.hlines(numbers, starts, ends, color=color, linewidth=3, label=trials[0].state)
    dots = axes.scatter(starts, numbers, s=14, color=color)
    tell(dots, [f"trial {trial.number}: {trial.state}" for trial in trials])


def _span(trial: Trial) -> tuple[float | None, float | None]:
    return trial.started, trial.ended
