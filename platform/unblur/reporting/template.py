"""Pages from the templates in `dashboards/`: one file each, which asks nothing of any server and has no script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import unblur
from unblur.reporting.figure import Plot
from unblur.reporting.svg import inline, slug
from unblur.resources import HOME, find


def rendered(template: str, plots: Sequence[Plot], **values: Any) -> str:
    """The page. A policy in its head forbids the browser every script and every request.

    values: what the template asks for, `title` and `subtitle` among them.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path("dashboards"), HOME / "dashboards"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["slug"] = slug
    return environment.get_template(template).render(
        figures={plot.id: Markup(inline(plot, f"f{place}")) for place, plot in enumerate(plots)},
        style=find("dashboards/report.css").read_text(encoding="utf-8"),
        version=unblur.__version__,
        **values,
    )
