"""One look for all figures, which Matplotlib draws. Colours can be told from a light and from a dark ground."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unblur.reporting.tables import Table

# fmt: off
COLORS = (
    "#2563eb", "#ea580c", "#16a34a", "#a855f7", "#dc2626", "#0891b2", "#a16207", "#db2777",
    "#6b7280", "#65a30d", "#0d9488", "#6366f1", "#e11d48", "#b45309", "#0284c7", "#c026d3",
)
# fmt: on
INK, SOFT, GRID, GROUND = "#1f2937", "#6a7281", "#e5e7eb", "#ffffff"
"""Of a light page; a page with an own idea of its colours replaces them (`unblur.reporting.svg`)."""
RANKS = LinearSegmentedColormap.from_list("ranks", ["#d97706", "#7d7f8d", "#2563eb"])
"""From the worst to the best."""
DASHES = ("-", "--", "-.", ":")
WIDTH, DOTS = 760, 72
"""Of a figure and of an inch, in the units that text is measured in."""
MARGIN, LETTER, HANDLE = 70, 7, 50
"""In the same units: what stands left of the axes, a letter, and a legend's sign with the space around it."""
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a parameter's value may have two dollars in it
    "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
    "font.size": 12,
    "font.sans-serif": ["DejaVu Sans", "Arial"],  # a short list: each text of a file repeats it
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.edgecolor": SOFT,
    "axes.facecolor": GROUND,
    "figure.facecolor": GROUND,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Plot:
    """A figure with a heading, a sentence on how to read it, and its numbers where no table beside it has them."""

    id: str
    title: str
    caption: str
    figure: Figure
    table: Table | None = None


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The same colour and dashes for a model in every figure: dashes, since not everyone can tell colours."""
    return {
        name: {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)]} for i, name in enumerate(names)
    }


def by_rank(number: int) -> list[str]:
    """A colour for each of so many, the worst first."""
    return [to_hex(RANKS(place / max(number - 1, 1))) for place in range(number)]


@contextmanager
def drawing(x: str, y: str, height: int = 360) -> Iterator[Axes]:
    """Axes of a new figure (`figure_of`), with titles."""
    with panels(1, 1, height) as ((axes,),):
        axes.set(xlabel=x, ylabel=y)
        yield axes


@contextmanager
def panels(rows: int, columns: int, height: int, **shared: Any) -> Iterator[Sequence[Sequence[Axes]]]:
    """A grid of axes of a new figure."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / DOTS, height / DOTS), layout="constrained")
        yield figure.subplots(rows, columns, squeeze=False, **shared)


def figure_of(axes: Axes) -> Figure:
    """The figure that axes are part of."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def legend(axes: Axes, columns: int = 4) -> None:
    """What is what, above the axes, where it hides nothing."""
    _, names = axes.get_legend_handles_labels()
    fitting = int((WIDTH - MARGIN) / (LETTER * max(map(len, names), default=0) + HANDLE))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=max(1, min(columns, fitting)), borderaxespad=0.2)


def counts(axis: Axis) -> None:
    """No ticks between whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True))


def categories(axes: Axes, names: Sequence[str]) -> None:
    """Names along y, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def logarithmic(axes: Axes) -> None:
    """A logarithmic x with plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter("")


def plain(value: float, _: float = 0) -> str:
    """0.001, 500, 20,000."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def tell(points: Artist, texts: Sequence[str]) -> None:
    """What a page shows where a pointer rests on each of the points, in their order.

    Matplotlib has no place for it; the name of an artist's group comes into the SVG as it is.
    """
    points.set_gid(json.dumps(list(texts)))


def told(name: str) -> list[str]:
    """What `tell` said of a group with this name."""
    texts: list[str] = json.loads(name) if name.startswith("[") else []
    return texts
