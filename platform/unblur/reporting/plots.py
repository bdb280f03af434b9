"""Figures of the result: the leaderboard, what it cost, what validation was worth, groups of users, the papers."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes

from unblur.formatting import shown
from unblur.reporting.bars import papers, user_groups
from unblur.reporting.figure import SOFT, Plot, categories, drawing, figure_of, logarithmic, looks, tell
from unblur.reporting.leaderboard import Leaderboard, Row
from unblur.reporting.papers import Beside
from unblur.reporting.tables import Table
from unblur.tracking import names

SECONDS = names.FACTS["seconds"]
PARAMETERS = names.FACTS["parameters"]  # a metric of final runs, where it is logged


def result_plots(board: Leaderboard, figures: Sequence[Beside]) -> list[Plot]:
    """All that there is something to draw for."""
    plots = [
        forest(board),
        cost(board),
        parameters(board),
        validation(board),
        user_groups(board),
        papers(figures, board.metric),
    ]
    return [plot for plot in plots if plot is not None]


def forest(board: Leaderboard) -> Plot:
    """Means and intervals, best on top."""
    look = looks([row.model for row in board.rows])
    least = board.rows[0].study.popularity(board.metric)
    with drawing(f"test {shown(board.metric)}", "", 90 + 40 * len(board.rows)) as axes:
        for place, row in enumerate(board.rows):
            _mean(axes, place, row, look[row.model]["color"])
        categories(axes, [row.model for row in board.rows])
        if least is not None:
            axes.axvline(least, color=SOFT, linestyle=":")
    caption = "Dot: mean over seeds; bar: 95% bootstrap interval over users; ticks: single seeds"
    caption += ("; dotted: popularity." if least is not None else ".") + " The leaderboard above has the numbers."
    return Plot("forest", "Accuracy", caption, figure_of(axes))


def _mean(axes: Axes, place: int, row: Row, color: str) -> None:
    low, high = row.interval or (row.mean, row.mean)
    axes.hlines(place, low, high, color=color, linewidth=2)
    axes.scatter(row.values, [place] * len(row.values), marker="|", s=90, color=color)
    tell(axes.scatter([row.mean], [place], s=70, color=color), [f"{row.model}: {row.mean:.4f}"])


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
    return _against("cost", "Accuracy and training time", caption, "seconds", points, board)


def parameters(board: Leaderboard) -> Plot | None:
    """Accuracy against the number of parameters."""
    points = [
        (row, each.metrics[PARAMETERS])
        for row in board.rows
        for each in row.study.finals[:1]
        if PARAMETERS in each.metrics
    ]
    caption = "Parameters of the final model; up and to the left is better."
    return _against("parameters", "Accuracy and size", caption, "parameters", points, board)


def validation(board: Leaderboard) -> Plot | None:
    """Accuracy against what the choice was made by, of models that can be set against each other."""
    points = [(row, value) for row in board.rows if (value := row.study.chosen_value()) is not None]
    if len(points) < 2:
        return None
    what = f"validation {shown(board.metric)}"
    caption = (
        "The best trial's value on validation, by which its configuration was chosen, and what that configuration came "
        "to on the test. What lies below the others' trend was tuned to its validation more than they were."
    )
    return _against("validation", "Validation against test", caption, what, points, board, log=False)


def _against(
    name: str,
    title: str,
    caption: str,
    x: str,
    points: Sequence[tuple[Row, float]],
    board: Leaderboard,
    log: bool = True,
) -> Plot | None:
    """The mean on the test against something else that each model has."""
    if not points:
        return None
    look, metric = looks([row.model for row in board.rows]), f"test {shown(board.metric)}"
    with drawing(f"{x} (log scale)" if log else x, metric) as axes:
        if log:
            logarithmic(axes)
        for place, (row, value) in enumerate(points):
            at = (max(value, 1e-3) if log else value, row.mean)
            dot = axes.scatter(*at, s=70, color=look[row.model]["color"])
            tell(dot, [f"{row.model}: {x} {value:,.4g}, {metric} {row.mean:.4f}"])
            above = place % 2 == 0  # neighbours are often close
            side = "bottom" if above else "top"
            axes.annotate(row.model, at, (0, 7 if above else -7), textcoords="offset points", ha="center", va=side)
        axes.margins(0.15)
    rows = [[row.model, f"{value:,.4g}", f"{row.mean:.4f}"] for row, value in points]
    return Plot(name, title, caption, figure_of(axes), Table(title, ["model", x, metric], rows))
