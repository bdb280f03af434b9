"""The report as a browser shows it, offline."""

from pathlib import Path
from typing import Any

import pytest

from unblur.reporting.loading import load
from unblur.reporting.page import to_html
from unblur.reporting.report import build
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader


@pytest.fixture(scope="module")
def page(browser: Any, toys: Store, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The toys' report, opened, with every folded part open."""
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(to_html(build(load(Reader(toys), "amazon_toys", "clean"))), encoding="utf-8")
    browser.get(file.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.implicitly_wait(10)
    browser.find_element("css selector", "details:last-of-type .figure .main-svg")
    browser.implicitly_wait(0)
    return browser


def test_every_figure_is_drawn(page: Any) -> None:
    figures = page.find_elements("css selector", ".figure")
    assert len(figures) == 5 + 4 * 2 + 1  # of the result; parallel coordinates and guidance; one importance
    for figure in figures:
        drawn = figure.find_elements("css selector", ".point path, .points path, .js-line")
        assert drawn, figure.get_attribute("id")
        assert figure.size["height"] > 100 and figure.size["width"] > 500


def test_no_errors_and_no_requests(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}] == []
    requested = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in requested if not address.startswith(("data:", "blob:", "file:"))] == []


def test_figures_shown_are_those_in_mlflow(page: Any, toys: Store) -> None:
    experiment = toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id
    parents = toys.client.search_runs([experiment], "tags.`unblur.kind` = 'study'")
    rows = page.find_elements("css selector", "section:first-of-type tbody tr")
    shown = {cells[1].text: cells[2].text for row in rows if (cells := row.find_elements("css selector", "td"))}
    assert shown == {
        run.data.tags["unblur.model"]: "{test/ndcg_at_10:.4f} ± {test/ndcg_at_10_std:.4f}".format_map(run.data.metrics)
        for run in parents
    }
    plotted = page.execute_script(
        "return Object.fromEntries(document.getElementById('forest').data.map(trace => [trace.name, trace.x[0]]))"
    )
    assert plotted == {run.data.tags["unblur.model"]: run.data.metrics["test/ndcg_at_10"] for run in parents}


def test_hostile_text_does_nothing(browser: Any, hostile: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(to_html(build(load(Reader(hostile), "amazon_toys", "clean"))))
    browser.get((tmp_path / "report.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.implicitly_wait(10)
    browser.find_element("css selector", "details:last-of-type .figure .main-svg")
    browser.implicitly_wait(0)
    # a script or handler that the policy stopped would be told here; an open alert would make these calls fail
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.find_elements("css selector", "svg a, img[src^=http], iframe") == []
    assert "{{7*7}}" in browser.find_element("css selector", "main").text
