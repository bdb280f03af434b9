"""Figures of the search: its history, which parameters mattered, how they go together, the guidance scale."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from unblur.formatting import shown
from unblur.reporting.figure import Plot, described, palette, safe, styled
from unblur.reporting.parallel import parallel
from unblur.reporting.parameter_importance import Importance, importance
from unblur.reporting.runs import StudyRuns, Trial
from unblur.training.record import State

SCALE = "guidance_scale"
BINS = 8


def search_history(studies: Sequence[StudyRuns]) -> Plot | None:
    """Every trial's value, and the best so far."""
    searched = [study for study in studies if study.done()]
    if not searched:
        return None
    colors = palette([study.model for study in studies])
    traces = [trace for study in searched for trace in _history(study, colors[study.model])]
    caption = "Points: trials, crosses where they were pruned; lines: the best so far. A click on a name hides it."
    figure = styled(traces, "trial", f"validation {shown(searched[0].metric)} (best epoch)", 440)
    return Plot("history", "Search history", caption, figure)


def _history(study: StudyRuns, color: str) -> list[go.Scatter]:
    trials, name = study.done(), safe(study.model)
    values = [trial.value or 0.0 for trial in trials]
    complete = [
        value if trial.state == State.COMPLETE else -np.inf for trial, value in zip(trials, values, strict=True)
    ]
    best = [value if np.isfinite(value) else None for value in np.maximum.accumulate(complete).tolist()]
    numbers = [trial.number for trial in trials]
    points = go.Scatter(
        x=numbers,
        y=values,
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        opacity=0.55,
        marker={"color": color, "size": 6, "symbol": [_symbol(trial) for trial in trials]},
        customdata=[described(trial.params) for trial in trials],
        hovertemplate=f"{name}, trial %{{x}}: %{{y:.4f}}<br>%{{customdata}}<extra></extra>",
    )
    line = go.Scatter(
        x=numbers,
        y=best,
        mode="lines",
        name=name,
        legendgroup=name,
        hoverinfo="skip",
        line={"color": color, "shape": "hv"},
    )
    return [points, line]


def _symbol(trial: Trial) -> str:
    return "circle" if trial.state == State.COMPLETE else "x-thin-open"


def model_plots(study: StudyRuns) -> list[Plot]:
    """Figures of one model's search."""
    found = importance(study)
    plots = [importances(study, found), parallel(study, found), guidance(study)]
    return [plot for plot in plots if plot is not None]


def importances(study: StudyRuns, found: Importance) -> Plot | None:
    """fANOVA's shares."""
    if not found.shares:
        return None
    names, shares = list(found.shares), list(found.shares.values())
    bars = go.Bar(
        x=shares,
        y=[safe(name) for name in names],
        orientation="h",
        marker={"color": "#2563eb"},
        text=[f"{share:.1%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure = styled([bars], f"share of the variance of validation {shown(study.metric)}", "", 110 + 26 * len(names))
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_xaxes(tickformat=".0%")
    return Plot(f"importance-{study.model}", f"What mattered for {study.model}", found.caption, figure)


def guidance(study: StudyRuns) -> Plot | None:
    """The guidance scale, drawn or each trial's best, against the validation metric."""
    trials = [trial for trial in study.done() if isinstance(trial.settings.get(SCALE), int | float)]
    scales = np.array([trial.settings[SCALE] for trial in trials], dtype=np.float64)
    if len(trials) < 2 or np.ptp(scales) == 0:
        return None
    values = np.array([trial.value for trial in trials], dtype=np.float64)
    points = go.Scatter(
        x=scales.tolist(),
        y=values.tolist(),
        mode="markers",
        name="trials",
        opacity=0.6,
        marker={"color": "#2563eb", "size": 7, "symbol": [_symbol(trial) for trial in trials]},
        customdata=[described(trial.settings) for trial in trials],
        hovertemplate="scale %{x:.3g}: %{y:.4f}<br>%{customdata}<extra></extra>",
    )
    best = go.Scatter(**_best_by_bin(scales, values), name="best nearby", line={"color": "#ea580c"})
    figure = styled([points, best], "guidance scale", f"validation {shown(study.metric)}")
    figure.add_vline(x=1, line={"color": "#9ca3af", "dash": "dot"})
    caption = (
        "0 is unconditional, 1 (dotted) plain conditional, above 1 guided. Other parameters vary from trial to trial."
        + (" Each trial is shown at the scale that was best for it." if SCALE in trials[0].inference else "")
    )
    return Plot(f"guidance-{study.model}", f"Guidance scale of {study.model}", caption, figure)


def _best_by_bin(x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    edges = np.linspace(x.min(), x.max(), BINS + 1)
    bins = np.clip(np.digitize(x, edges) - 1, 0, BINS - 1)
    tops = [int(np.flatnonzero(bins == each)[y[bins == each].argmax()]) for each in np.unique(bins)]
    return {"x": x[tops].tolist(), "y": y[tops].tolist()}
