"""Parallel coordinates in SVG: Plotly's own need WebGL, of which a browser has too little for a page of many models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from unblur.formatting import shown
from unblur.reporting.figure import Plot, safe, styled
from unblur.reporting.parameter_importance import Importance
from unblur.reporting.runs import StudyRuns, Trial

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
    trials = _drawn(study.done())
    names = dict.fromkeys(name for trial in trials for name in trial.settings)
    varied = [name for name in names if len({str(trial.settings.get(name)) for trial in trials}) > 1]
    if len(trials) < 2 or not varied:
        return None
    ranked = sorted(varied, key=lambda name: -found.shares.get(name, 0.0))[:AXES]
    axes = [axis(name, [trial.settings.get(name) for trial in trials]) for name in ranked]
    axes.append(axis(shown(study.metric), [trial.value for trial in trials]))
    figure = styled(_bands(trials, axes), "", "", 440, showlegend=True, hovermode=False)
    figure.update_xaxes(tickvals=list(range(len(axes))), ticktext=[safe(each.name) for each in axes], showgrid=True)
    figure.update_xaxes(gridcolor="#9ca3af", showline=False, range=[-0.35, len(axes) - 0.7])
    figure.update_yaxes(visible=False)
    figure.update_layout(annotations=[_label(i, *tick) for i, each in enumerate(axes) for tick in each.ticks])
    caption = f"A line is a trial; colours from the worst to the best sixth of {len(trials)} trials. "
    caption += f"The {len(ranked)} parameters that mattered most of {len(varied)}." if len(varied) > AXES else ""
    return Plot(f"parallel-{study.model}", f"Configurations of {study.model}", caption, figure)


def _drawn(trials: Sequence[Trial]) -> list[Trial]:
    """At most LINES trials, evenly drawn by rank, the worst first, so that the best lie on top."""
    ranked = sorted(trials, key=lambda trial: trial.value or 0.0)
    return [ranked[int(i)] for i in np.linspace(0, len(ranked) - 1, min(LINES, len(ranked)))]


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


def _bands(trials: Sequence[Trial], axes: Sequence[Axis]) -> list[go.Scatter]:
    """One trace per sixth of the trials: a trace per line would take the browser seconds."""
    bands = [[int(i) for i in band] for band in np.array_split(np.arange(len(trials)), min(BANDS, len(trials)))]
    colors = sample_colorscale("Viridis", np.linspace(1, 0, len(bands)).tolist())
    across: list[float | None] = [*range(len(axes)), None]
    return [
        go.Scatter(
            x=across * len(band),
            y=[place for i in band for place in [*(each.places[i] for each in axes), None]],
            mode="lines",
            name=_between(trials[band[0]], trials[band[-1]]),
            opacity=0.35 + 0.5 * position / len(bands),
            line={"color": color, "width": 1.5},
        )
        for position, (band, color) in enumerate(zip(bands, colors, strict=True))
    ]


def _between(worst: Trial, best: Trial) -> str:
    low, high = f"{worst.value:.4f}", f"{best.value:.4f}"
    return low if low == high else f"{low} to {high}"


def _label(position: int, place: float, text: str) -> dict[str, Any]:
    return {
        "x": position,
        "y": place,
        "text": safe(text),
        "showarrow": False,
        "xanchor": "right",
        "xshift": -4,
        "font": {"size": 11},
        "bgcolor": "rgba(255,255,255,0.75)",
        "borderpad": 1,
    }
