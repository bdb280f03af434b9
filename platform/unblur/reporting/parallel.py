"""Parallel coordinates: every trial a line through its parameters to its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from unblur.formatting import shown
from unblur.reporting.figure import GROUND, INK, SOFT, Plot, by_rank, drawing, figure_of, legend, tell
from unblur.reporting.parameter_importance import Importance
from unblur.reporting.runs import StudyRuns, Trial, varied

AXES, LINES = 10, 300  # that a page has room for
BANDS = 6
BOTTOM = -0.15  # the place of parameters that a trial does not have


@dataclass(frozen=True)
class Axis:
    """Where each trial crosses the axis, 0 to 1, and what stands beside it."""

    name: str
    places: list[float]
    ticks: list[tuple[float, str]]


def parallel(study: StudyRuns, found: Importance) -> Plot | None:
    """The trials as lines, one axis for each of the parameters that mattered most."""
    trials = ranked(study.done())
    names, which = found.first(varied(trials), AXES)
    if len(trials) < 2 or not names:
        return None
    axes = [axis(name, [trial.settings.get(name) for trial in trials]) for name in names]
    axes.append(axis(shown(study.metric), [trial.value for trial in trials]))
    caption = f"A line is a trial; colours from the worst to the best sixth of {len(trials)} trials.{which}"
    with drawing("", "", 430) as place:
        _lines(place, trials, axes)
        for position, each in enumerate(axes):
            _ticks(place, position, each)
        place.set_xticks(range(len(axes)), [each.name for each in axes], rotation=20, ha="right")
        place.set(xlim=(-0.5, len(axes) - 0.9), yticks=[])
        place.grid(visible=False)
        place.spines[:].set_visible(False)
        legend(place, 3)
    return Plot(f"parallel-{study.model}", f"Configurations of {study.model}", caption, figure_of(place))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """At most LINES trials, evenly drawn by rank, the worst first, so that the best lie on top."""
    order = sorted(trials, key=lambda trial: trial.value or 0.0)
    return [order[int(i)] for i in np.linspace(0, len(order) - 1, min(LINES, len(order)))]


def axis(name: str, values: Sequence[Any]) -> Axis:
    """Numbers on a scale, logarithmic over more than two decades; everything else as categories; unset ones apart."""
    given = [value for value in values if value is not None]
    unset = [(BOTTOM, "unset")] if len(given) < len(values) else []
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        kinds = sorted({_word(value) for value in given})
        at = {kind: i / max(len(kinds) - 1, 1) for i, kind in enumerate(kinds)}
        places = [BOTTOM if value is None else at[_word(value)] for value in values]
        return Axis(name, places, [*unset, *((place, kind) for kind, place in at.items())])
    low, high = float(min(given)), float(max(given))
    log = low > 0 and high > 100 * low
    start, end = (np.log10(low), np.log10(high)) if log else (low, high)
    width = (end - start) or 1.0
    places = [BOTTOM if v is None else float(((np.log10(v) if log else v) - start) / width) for v in values]
    marks = [(place, start + place * width) for place in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return Axis(name, places, [*unset, *((place, f"{10**mark if log else mark:.3g}") for place, mark in marks)])


def _word(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:17]}..."


def _lines(place: Axes, trials: Sequence[Trial], axes: Sequence[Axis]) -> None:
    """A colour for each sixth of the trials."""
    bands = [[int(i) for i in band] for band in np.array_split(np.arange(len(trials)), min(BANDS, len(trials)))]
    for band, color in zip(bands, by_rank(len(bands)), strict=True):
        lines = [[(position, each.places[i]) for position, each in enumerate(axes)] for i in band]
        label = _between(trials[band[0]], trials[band[-1]])
        drawn = LineCollection(lines, colors=[color], linewidths=1.2, label=label)
        tell(drawn, [f"trial {trials[i].number}: {trials[i].value:.4f}" for i in band])
        place.add_collection(drawn)


def _between(worst: Trial, best: Trial) -> str:
    low, high = f"{worst.value:.4f}", f"{best.value:.4f}"
    return low if low == high else f"{low} to {high}"


def _ticks(place: Axes, position: int, each: Axis) -> None:
    place.axvline(position, color=SOFT, linewidth=0.8, zorder=0)
    ground = {"facecolor": GROUND, "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for height, text in each.ticks:
        place.text(position - 0.04, height, text, color=INK, size=9, ha="right", va="center", bbox=ground)
