"""One look for all figures. Text from parameters and tags is escaped, since Plotly reads a kind of HTML in labels."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# fmt: off
COLORS = (
    "#2563eb", "#ea580c", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#db2777",
    "#4b5563", "#65a30d", "#0d9488", "#7c3aed", "#be123c", "#854d0e", "#1e3a8a", "#f472b6",
)
# fmt: on
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
GRID = "#e5e7eb"


@dataclass(frozen=True)
class Plot:
    """A figure with a heading and a sentence on how to read it."""

    id: str
    title: str
    caption: str
    figure: go.Figure


def palette(models: Sequence[str]) -> dict[str, str]:
    """The same colour for a model in every figure."""
    return {model: COLORS[i % len(COLORS)] for i, model in enumerate(models)}


def safe(text: Any) -> str:
    """Text for labels, hovers and legends."""
    return html.escape(str(text), quote=False)


def styled(traces: Sequence[Any], x: str, y: str, height: int = 380, **layout: Any) -> go.Figure:
    """A figure with titled axes."""
    figure = go.Figure(list(traces))
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": "#9ca3af", "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 70, "r": 24, "t": 40, "b": 56},
        font={"family": FONT, "size": 13, "color": "#1f2937"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"font": {"family": FONT}},
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
    )
    figure.update_layout(**layout)
    return figure


def described(params: Mapping[str, Any]) -> str:
    """A configuration for a hover: one parameter a line."""
    return "<br>".join(f"{safe(name)} = {safe(_short(value))}" for name, value in sorted(params.items()))


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
