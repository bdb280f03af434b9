"""The pages for everyone: WCAG 2.2 A and AA by axe-core, in light and in dark; by keyboard alone; on paper."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from unblur.experiments.describe import describe
from unblur.experiments.options import DescribeOptions
from unblur.reporting import data_page
from unblur.reporting.loading import load
from unblur.reporting.page import to_html
from unblur.reporting.report import build
from unblur.reporting.several import Several
from unblur.reporting.several_page import SeveralResult
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = "axe.run(document, {runOnly: arguments[0], resultTypes: ['violations', 'incomplete']}).then(arguments[1])"
OPEN = "document.querySelectorAll('details').forEach(part => { part.open = true; })"
WIDTHS = (1200, 400)


@pytest.fixture(scope="module")
def pages(toys: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of a report, one over two datasets, and what is said of a file."""
    evidence, folder = load(Reader(toys), "amazon_toys", "clean"), tmp_path_factory.mktemp("pages")
    rows = "".join(f"u{user},i{item},{1 + item % 5}\n" for user in range(6) for item in range(10))
    (folder / "plays.csv").write_text("user,item,stars\n" + rows)
    written = {
        "report": to_html(build(evidence)),
        "several": SeveralResult.of(Several([evidence, replace(evidence, dataset="amazon_beauty")])).html(),
        "data": data_page.html(describe(DescribeOptions(file=str(folder / "plays.csv"), out=folder / "plays.yaml"))),
    }
    for name, page in written.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in written}


@pytest.fixture
def window(browser: Any) -> Iterator[Any]:
    """The browser, which forgets afterwards how it was made to look."""
    yield browser
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def look(browser: Any, theme: str, media: str = "screen", width: int = WIDTHS[0]) -> None:
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def axe(browser: Any) -> dict[str, list[dict[str, Any]]]:
    """What axe-core finds on the page that is shown, with every part open."""
    script = pytest.importorskip("axe_playwright_python.base", reason="needs pip install axe-playwright-python")
    browser.execute_script(OPEN)
    browser.execute_script(script.AXE_SCRIPT)
    found: dict[str, list[dict[str, Any]]] = browser.execute_async_script(RUN, RULES)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["report", "several", "data"])
def test_axe_finds_nothing(window: Any, pages: dict[str, str], page: str, theme: str) -> None:
    window.get(pages[page])
    for width in WIDTHS:
        look(window, theme, width=width)
        found = axe(window)
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        # it cannot tell the contrast of text in a figure, or outside of the window: tests/reporting/test_svg.py does
        assert {each["id"] for each in found["incomplete"]} <= {"color-contrast"}
        wide = window.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, "the page itself does not scroll sideways"


@pytest.mark.slow
def test_axe_would_find_a_figure_without_words(window: Any, pages: dict[str, str]) -> None:
    window.get(pages["report"])
    window.execute_script("document.querySelector('svg').removeAttribute('aria-labelledby')")
    window.execute_script("document.querySelector('svg > title').remove()")
    assert [each["id"] for each in axe(window)["violations"]] == ["svg-img-alt"]


def test_dark_is_dark_and_light_is_light(window: Any, pages: dict[str, str]) -> None:
    window.get(pages["report"])
    seen = {}
    for theme in ("light", "dark"):
        look(window, theme)
        body, text = (window.find_element("css selector", each) for each in ("body", "figure svg text"))
        seen[theme] = sum(_channels(body, "background-color")), sum(_channels(text, "fill"))
    assert seen["light"][0] > 700 > 300 > seen["light"][1] and seen["dark"][0] < 100 < 600 < seen["dark"][1]


def _channels(element: Any, name: str) -> list[int]:
    return [int(each) for each in element.value_of_css_property(name).split("(")[1].rstrip(")").split(",")[:3]]


def test_everything_that_opens_or_scrolls_is_reached_by_keyboard(window: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    window.get(pages["several"])
    expected = window.find_elements("css selector", "a, summary, .scroll")
    visible = [each for each in expected if each.is_displayed()]
    reached = []
    for _ in visible:
        window.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(window.switch_to.active_element)
    assert reached == visible and len(visible) > 5
    window.get(pages["report"])
    summary = window.find_element("css selector", ".part > summary")
    summary.send_keys(Keys.ENTER)
    assert window.find_element("css selector", ".part").get_property("open")


def test_paper_has_all_parts_in_light_without_the_numbers_behind_figures(window: Any, pages: dict[str, str]) -> None:
    window.get(pages["report"])
    closed = window.find_elements("css selector", ".part:not([open]) svg")
    assert closed and not any(each.is_displayed() for each in closed)
    look(window, "dark", "print", 740)
    assert all(each.size["height"] > 100 for each in closed)
    assert not any(each.is_displayed() for each in window.find_elements("css selector", ".numbers, nav"))
    assert sum(_channels(window.find_element("css selector", "h1"), "color")) < 200
