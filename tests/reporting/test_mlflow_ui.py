"""MLflow's own pages show the studies under names and with figures that people can read."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.helpers.made_studies import SEARCHED
from tests.helpers.mlflow_pages import served

from unblur.tracking import views
from unblur.tracking.client import Store
from unblur.tracking.views import View

UI_OWN = "users/current"  # asked for by the UI, and answered only by servers with accounts
MODELS, CURVES = views.of_experiment("ndcg_at_10")
TRIALS = views.of_trials("ndcg_at_10", "cfg_diffrec", SEARCHED, ["guidance_scale"])


@pytest.fixture(scope="module")
def pages(toys: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's pages of `toys`."""
    with served(toys, tmp_path_factory.mktemp("pages")) as uri:
        yield uri


@pytest.fixture
def experiment(toys: Store) -> str:
    return str(toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id)


def test_compare_view(browser: Any, toys: Store, pages: str, experiment: str) -> None:
    runs = toys.client.search_runs([experiment], "tags.`unblur.kind` = 'study'")
    chosen = (
        f"runs={quote(json.dumps([run.info.run_id for run in runs]))}&experiments={quote(json.dumps([experiment]))}"
    )
    browser.get_log("browser")
    browser.set_window_size(2400, 1400)  # what lies outside of it is not drawn
    browser.get(f"{pages}/#/compare-runs?{chosen}")
    figures = [str(round(run.data.metrics["test/ndcg_at_10"], 3)) for run in runs]
    # of the names of metrics only the first ones are drawn, of their values all
    text = until(lambda: plotted(browser) and says(browser, *figures), browser)
    browser.get("about:blank")
    for run in runs:
        assert run.info.run_name in text
    assert f"Comparing {len(runs)} Runs" in text
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in errors if UI_OWN not in message] == []


@pytest.mark.parametrize(
    ("view", "beside"),
    [(MODELS, "metrics.`test/ndcg_at_10_std`"), (TRIALS, "params.`lr`")],
    ids=["models", "trials"],
)
def test_what_decides_is_a_sorted_column_in_a_view_of_the_menu(
    browser: Any, pages: str, experiment: str, toys: Store, view: View, beside: str
) -> None:
    browser.get(f"{pages}/#/experiments/{experiment}/runs")
    click(browser, "saved-views-trigger")
    click(browser, f"saved-views-item-{view.id}")
    name = view.order.removeprefix("metrics.`").removesuffix("`")
    found = toys.client.search_runs([experiment], view.state["searchFilter"], order_by=[f"{view.order} DESC"])
    cells = until(lambda: len(shown := column(browser, view.order)) == len(found) and shown, browser)
    assert [float(cell.text) for cell in cells] == pytest.approx([run.data.metrics[name] for run in found], abs=1e-3)
    assert all("is-ordered-by" in cell.get_attribute("class") and cell.is_displayed() for cell in cells)
    headers = {each.get_attribute("col-id") for each in browser.find_elements("css selector", ".ag-header-cell")}
    assert {view.order, beside} <= headers


def test_curves_are_drawn_by_their_link(browser: Any, pages: str, experiment: str) -> None:
    browser.get(pages + CURVES.path(experiment))
    until(lambda: plotted(browser) >= len(CURVES.charts) and says(browser, CURVES.name), browser)


def column(browser: Any, name: str) -> list[Any]:
    """The cells of a column of MLflow's table, from the top."""
    rows = browser.find_elements("css selector", f".ag-center-cols-container [role=row] [col-id='{name}']")
    return sorted(rows, key=lambda cell: int(cell.find_element("xpath", "..").get_attribute("row-index")))


def click(browser: Any, test_id: str) -> None:
    """Press what MLflow calls so, once it is there."""
    until(lambda: browser.find_element("css selector", f"[data-testid='{test_id}']").click() is None, browser)


def plotted(browser: Any) -> int:
    """How many charts are drawn."""
    return len(browser.find_elements("css selector", ".js-plotly-plot"))


def says(browser: Any, *wanted: str) -> str:
    """The page's text, once all that is wanted is in it."""
    text = str(browser.find_element("css selector", "body").text)
    return text if all(each in text for each in wanted) else ""


def until(found: Callable[[], Any], browser: Any, seconds: float = 90) -> Any:
    """What `found` gives as soon as it is something; a page that is being drawn may take its parts away meanwhile."""
    from selenium.common.exceptions import WebDriverException

    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := found():
                return result
        except WebDriverException:
            pass
        assert time.monotonic() < deadline, browser.find_element("css selector", "body").text
        time.sleep(0.3)
