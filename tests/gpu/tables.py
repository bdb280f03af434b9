"""The result as text."""

from collections.abc import Mapping, Sequence
from typing import Any

WIDEST = 24


def text(result: Mapping[str, Any]) -> str:
    """A table for each part."""
    device = result["device"]
    lines = [f"{device.get('name', device['type'])}, PyTorch {device['torch']}, {result['seconds']:.0f} s"]
    for part, rows in result.items():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            lines += ["", part, *table([_flat(row) for row in rows])]
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Aligned columns under their names."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """With a column for each entry of a dictionary."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= {f"{name} {key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return "-" if value is None else str(value)[:WIDEST]
