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
    open_all(browser)
    return browser


def open_all(browser: Any) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")


def test_every_figure_is_drawn(page: Any) -> None:
    figures = page.find_elements("css selector", "figure svg")
    # of the result; of each search: slices, parallel coordinates, learning curves, time; of one: importance, guidance
    assert len(figures) == 6 + 4 * 4 + 2
    for figure in figures:
        name = figure.accessible_name
        assert figure.size["height"] > 100 and figure.size["width"] > 500, name
        marks = figure.find_elements("css selector", "g[clip-path] *, path[clip-path]")
        assert any(mark.size["height"] or mark.size["width"] for mark in marks), name


def test_every_figure_is_named_and_has_its_numbers_in_a_table(page: Any) -> None:
    for figure in page.find_elements("css selector", "figure"):
        title = figure.find_element("css selector", "h3").text
        svg = figure.find_element("css selector", "svg")
        assert svg.aria_role in ("img", "image", "graphics-document") and svg.accessible_name.startswith(title)
        around = figure.find_element("xpath", "ancestor-or-self::*[.//table][1]")
        assert around.tag_name in ("figure", "section", "details") or "Tables below" in figure.text, title


def test_a_point_says_which_trial_it_is(page: Any, toys: Store) -> None:
    points = page.find_elements("css selector", "#history use > title")
    said = {point.get_attribute("textContent") for point in points}
    experiment = toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id
    trials = toys.client.search_runs([experiment], "tags.`unblur.kind` = 'trial'")
    assert len(said) == len(trials) and any(each.startswith("ease, trial 4: 0.2") for each in said)


def test_no_errors_and_no_requests(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}] == []
    requested = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in requested if not address.startswith(("data:", "blob:", "file:"))] == []


def test_figures_shown_are_those_in_mlflow(page: Any, toys: Store) -> None:
    experiment = toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id
    parents = toys.client.search_runs([experiment], "tags.`unblur.kind` = 'study'")
    rows = page.find_elements("css selector", "section:first-of-type tbody tr")
    shown = {cells[1].text: cells[2].text for row in rows if (cells := row.find_elements("css selector", "td, th"))}
    assert shown == {
        run.data.tags["unblur.model"]: "{test/ndcg_at_10:.4f} ± {test/ndcg_at_10_std:.4f}".format_map(run.data.metrics)
        for run in parents
    }
    plotted = {
        point.get_attribute("textContent") for point in page.find_elements("css selector", "#forest use > title")
    }
    assert plotted == {
        "{}: {:.4f}".format(run.data.tags["unblur.model"], run.data.metrics["test/ndcg_at_10"]) for run in parents
    }


def test_hostile_text_does_nothing(browser: Any, hostile: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(to_html(build(load(Reader(hostile), "amazon_toys", "clean"))))
    browser.get((tmp_path / "report.html").as_uri())
    open_all(browser)
    # a script or handler that the policy stopped would be told here; an open alert would make these calls fail
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.find_elements("css selector", "svg a, svg image, img, iframe, script") == []
    assert "{{7*7}}" in browser.find_element("css selector", "main").text
