"""The report as one HTML file that needs nothing else, and as Markdown."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

import unblur
from unblur.reporting.figure import Plot
from unblur.reporting.tables import Table
from unblur.resources import HOME, find

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Section:
    """A part of the report: text, tables and figures; `folded` ones open on a click."""

    title: str
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    folded: bool = False


@dataclass(frozen=True)
class Report:
    """What the report says, before it is HTML or Markdown."""

    title: str
    subtitle: str
    verdict: Sequence[str]
    reservations: Sequence[str]
    sections: Sequence[Section]


def to_html(report: Report) -> str:
    """The page. A policy in its head forbids the browser every request and every script but the page's own two."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path("dashboards"), HOME / "dashboards"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["slug"] = _slug
    # "</script>" in a library would end the element early
    library = get_plotlyjs().replace("</script", "<\\/script")
    draw = find("dashboards/report.js").read_text(encoding="utf-8")
    figures = {_slug(plot.id): _figure(plot) for section in report.sections for plot in section.plots}
    return environment.get_template(TEMPLATE).render(
        report=report,
        style=find("dashboards/report.css").read_text(encoding="utf-8"),
        library=library,
        draw=draw,
        hashes=[_hash(library), _hash(draw)],
        figures=_json(figures),
        version=unblur.__version__,
    )


def to_markdown(report: Report) -> str:
    """Title, verdict and tables; figures are the HTML's."""
    lines = [f"# {_cell(report.title)}", "", _cell(report.subtitle), "", *(_cell(each) for each in report.verdict), ""]
    lines += [f"- {_cell(each)}" for each in report.reservations]
    for section in report.sections:
        tables = [table for table in section.tables if table.rows]
        if tables:
            lines += ["", f"## {_cell(section.title)}"]
        for table in tables:
            lines += ["", *_markdown(table, titled=len(tables) > 1)]
    return "\n".join(lines) + "\n"


def _markdown(table: Table, titled: bool) -> list[str]:
    title = [f"### {_cell(table.title)}", ""] if titled else []
    head = [_row(map(_cell, table.columns)), _row("---" for _ in table.columns)]
    rows = [_row(_code(cell) if i in table.code else _cell(cell) for i, cell in enumerate(row)) for row in table.rows]
    note = ["", _cell(table.note)] if table.note else []
    return [*title, *head, *rows, *note]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Text to copy; a backtick in it would end it."""
    return f"`{' '.join(text.split())}`".replace("|", "\\|") if "`" not in text else _cell(text)


def _cell(text: str) -> str:
    """Text that is neither markup nor the end of a cell."""
    return re.sub(r"([\\`*|\[\]<>#])", r"\\\1", " ".join(text.split()))


def _figure(plot: Plot) -> Any:
    return json.loads(plot.figure.to_json())


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _slug(text: str) -> str:
    """An id for an element, distinct for distinct texts."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
