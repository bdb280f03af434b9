"""What guidance does to one trained network: every setting of inference that it was scored with on validation."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from unblur.formatting import setting, shown
from unblur.reporting.figure import SOFT, Plot, figure_of, legend, looks, panels
from unblur.reporting.runs import StudyRuns
from unblur.reporting.tables import Table

SCALE = "guidance_scale"
LINES = 6  # that can be told apart


def response(study: StudyRuns) -> Plot | None:
    """Accuracy and coverage against the guidance scale, a line for each choice of what else was swept."""
    swept = study.sweep
    if swept is None or SCALE not in swept or swept[SCALE].nunique() < 2 or study.metric not in swept:
        return None
    coverage = f"coverage_at_{study.metric.rpartition('_')[2]}"
    metrics = [name for name in (study.metric, coverage) if name in swept]
    others = [name for name in map(str, swept) if name not in ("seed", SCALE) and "_at_" not in name]
    means = swept.groupby([*others, SCALE], dropna=False)[metrics].mean().reset_index()
    lines = sorted(_lines(means, others), key=lambda line: -line[1][study.metric].max())
    with panels(len(metrics), 1, 90 + 240 * len(metrics), sharex=True) as grid:
        for (axes,), metric in zip(grid, metrics, strict=True):
            _draw(axes, dict(lines[:LINES]), metric)
        grid[-1][0].set_xlabel("guidance scale")
        if others:
            legend(grid[0][0])
    caption = (
        "The final networks, scored on validation with every setting of inference of the sweep (means over seeds): "
        "along a line nothing differs but the scale. 0 is unconditional, 1 (dotted) plain conditional, above 1 guided."
    )
    if len(lines) > LINES:
        caption += f" The best {LINES} of {len(lines)} lines; the table has all."
    settings, found = means[[*others, SCALE]].to_numpy(object), means[metrics].to_numpy()
    rows = [
        [*map(setting, these), *(f"{value:.4f}" for value in values)]
        for these, values in zip(settings, found, strict=True)
    ]
    table = Table("Response to guidance", [*others, SCALE, *map(shown, metrics)], rows)
    title = f"Response of {study.model} to guidance"
    return Plot(f"guidance-{study.model}", title, caption, figure_of(grid[0][0]), table)


def _lines(means: pd.DataFrame, others: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The means along the scale, by what else was swept."""
    if not others:
        yield "", means
        return
    for values, mine in means.groupby(others, dropna=False):
        yield ", ".join(f"{name} {setting(value)}" for name, value in zip(others, values, strict=True)), mine


def _draw(axes: Axes, lines: dict[str, pd.DataFrame], metric: str) -> None:
    look = looks(list(lines))
    for name, means in lines.items():
        axes.plot(means[SCALE], means[metric], marker="o", label=name, **look[name])
    axes.axvline(1, color=SOFT, linestyle=":")
    axes.set_ylabel(shown(metric))
