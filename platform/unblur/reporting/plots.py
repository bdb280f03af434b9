"""Figures of the result: the leaderboard, cost, groups of users, the papers."""

from collections.abc import Iterator, Sequence
from statistics import mean

import pandas as pd
import plotly.graph_objects as go
from scipy import stats

from unblur.formatting import shown
from unblur.reporting.figure import Plot, palette, safe, styled
from unblur.reporting.leaderboard import Leaderboard, Row
from unblur.reporting.papers import Beside
from unblur.tracking import names

SECONDS = names.FACTS["seconds"]
PARAMETERS = names.FACTS["parameters"]  # a metric of final runs, where it is logged
HISTORY_LENGTH = "n_history"  # a column of the per-user results, where it is kept
GROUPS = 4
POSITIONS = ("top center", "bottom center")  # of names, in turn: neighbours are often close


def result_plots(board: Leaderboard, figures: Sequence[Beside]) -> list[Plot]:
    """All that there is something to draw for."""
    plots = [forest(board), cost(board), parameters(board), user_groups(board), papers(figures, board)]
    return [plot for plot in plots if plot is not None]


def forest(board: Leaderboard) -> Plot:
    """Means and intervals, best on top."""
    colors = palette([row.model for row in board.rows])
    traces = [_mean(row, colors[row.model]) for row in board.rows]
    least = board.rows[0].study.popularity(board.metric)
    lines = [] if least is None else [{"type": "line", "x0": least, "x1": least, "yref": "paper", "y0": 0, "y1": 1}]
    figure = styled(traces, f"test {shown(board.metric)}", "", 110 + 44 * len(board.rows), showlegend=False)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(shapes=[{**line, "line": {"color": "#9ca3af", "dash": "dot"}} for line in lines])
    caption = "Dot: mean over seeds; bar: 95% bootstrap interval over users; ticks: single seeds"
    return Plot("forest", "Accuracy", caption + ("; dotted: popularity." if lines else "."), figure)


def _mean(row: Row, color: str) -> go.Scatter:
    low, high = row.interval or (row.mean, row.mean)
    name = safe(row.model)
    return go.Scatter(
        x=[row.mean, *row.values],
        y=[name] * (1 + len(row.values)),
        mode="markers",
        name=name,
        marker={
            "color": color,
            "size": [12] + [9] * len(row.values),
            "symbol": ["circle"] + ["line-ns-open"] * len(row.values),
            "line": {"width": 1.5, "color": color},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - row.mean] + [0] * len(row.values),
            "arrayminus": [row.mean - low] + [0] * len(row.values),
            "color": color,
            "thickness": 2,
        },
        hovertemplate=f"{name}: %{{x:.4f}}<extra></extra>",
    )


def cost(board: Leaderboard) -> Plot | None:
    """Accuracy against the seconds of one training; of the whole run where some model does not log its training's."""
    trained = [row for row in board.rows if row.study.finals]
    logged = all(SECONDS in each.metrics for row in trained for each in row.study.finals)
    points = [
        (row, mean(each.metrics[SECONDS] if logged else each.seconds or 0.0 for each in row.study.finals))
        for row in trained
    ]
    what = "training, evaluations included" if logged else "final run, the start of its workers included"
    caption = f"Seconds of one {what}; up and to the left is better."
    return _scatter("cost", "Accuracy and training time", caption, "seconds", points, board)


def parameters(board: Leaderboard) -> Plot | None:
    """Accuracy against the number of parameters."""
    points = [
        (row, each.metrics[PARAMETERS])
        for row in board.rows
        for each in row.study.finals[:1]
        if PARAMETERS in each.metrics
    ]
    caption = "Parameters of the final model; up and to the left is better."
    return _scatter("parameters", "Accuracy and size", caption, "parameters", points, board)


def _scatter(
    name: str, title: str, caption: str, x: str, points: Sequence[tuple[Row, float]], board: Leaderboard
) -> Plot | None:
    if not points:
        return None
    colors = palette([row.model for row in board.rows])
    traces = [
        go.Scatter(
            x=[max(float(value), 1e-3)],
            y=[row.mean],
            mode="markers+text",
            name=safe(row.model),
            text=[safe(row.model)],
            textposition=POSITIONS[i % 2],
            cliponaxis=False,
            marker={"size": 12, "color": colors[row.model]},
            hovertemplate=f"{safe(row.model)}: %{{x:.4g}}, %{{y:.4f}}<extra></extra>",
        )
        for i, (row, value) in enumerate(points)
    ]
    figure = styled(traces, f"{x} (log scale)", f"test {shown(board.metric)}", showlegend=False)
    figure.update_xaxes(type="log", tickformat=",~g")
    return Plot(name, title, caption, figure)


def user_groups(board: Leaderboard) -> Plot | None:
    """Accuracy for users with few and with many interactions."""
    rows = [row for row in board.rows if row.study.per_user is not None and board.metric in row.study.per_user]
    if not rows:
        return None
    first = rows[0].study.per_user
    assert first is not None
    column = HISTORY_LENGTH if HISTORY_LENGTH in first else "n_relevant"
    what = "items in the history" if column == HISTORY_LENGTH else "held-out items"
    colors = palette([row.model for row in board.rows])
    traces = [_groups(row, column, board.metric, colors[row.model]) for row in rows]
    caption = f"Users in {GROUPS} groups of about the same size by the number of their {what}; bars: 95% intervals."
    if column == "n_relevant":
        caption += " A user with more held-out items has a longer history too, where the split takes a share of it."
    figure = styled(traces, what, f"test {shown(board.metric)}", barmode="group")
    figure.update_xaxes(type="category")
    return Plot("groups", "Few and many interactions", caption, figure)


def _groups(row: Row, column: str, metric: str, color: str) -> go.Bar:
    labels, means, errors = zip(*_grouped(row.study.per_user, column, metric), strict=True)
    return go.Bar(
        x=labels,
        y=means,
        name=safe(row.model),
        marker={"color": color},
        error_y={"type": "data", "array": errors, "thickness": 1, "color": "#374151"},
        hovertemplate=f"{safe(row.model)}, %{{x}}: %{{y:.4f}}<extra></extra>",
    )


def _grouped(frame: pd.DataFrame | None, column: str, metric: str) -> Iterator[tuple[str, float, float]]:
    """(label, mean, half of the 95% interval) of each group that has users."""
    assert frame is not None
    parts = pd.qcut(frame[column], GROUPS, labels=False, duplicates="drop").fillna(0)
    for _, part in frame.groupby(parts):
        low, high = int(part[column].min()), int(part[column].max())
        error = 1.96 * float(stats.sem(part[metric])) if len(part) > 1 else 0.0
        label = str(low) if low == high else f"{low} to {high}"
        yield f"{label} ({len(part):,} users)", float(part[metric].mean()), error


def papers(figures: Sequence[Beside], board: Leaderboard) -> Plot | None:
    """Ours and the papers' for the deciding metric."""
    chosen = [each for each in figures if each.published.metric == board.metric]
    if not chosen:
        return None
    models = sorted(
        {each.published.model for each in chosen}, key=lambda m: -max(b.ours for b in chosen if b.published.model == m)
    )
    ours = {each.published.model: each.ours for each in chosen}
    traces = [
        go.Bar(x=[safe(m) for m in models], y=[ours[m] for m in models], name="ours", marker={"color": "#2563eb"})
    ]
    for i, source in enumerate(dict.fromkeys(each.published.source for each in chosen)):
        theirs = {each.published.model: each.published.value for each in chosen if each.published.source == source}
        color = ("#9ca3af", "#d4a373", "#a3b18a")[i % 3]
        traces.append(go.Bar(x=list(theirs), y=list(theirs.values()), name=safe(source), marker={"color": color}))
    figure = styled(traces, "", f"test {shown(board.metric)}", barmode="group")
    return Plot("papers", "Beside the papers", "The table says where data or protocol differ.", figure)
