"""Figures as part of a page: whole, light, in the page's colours, with words for those who cannot see them."""

import re
import warnings
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from tests.helpers import ROOT

from unblur.reporting.figure import COLORS, INK, RANKS, SOFT, Plot, by_rank, drawing, figure_of, legend, tell
from unblur.reporting.loading import load
from unblur.reporting.report import build
from unblur.reporting.svg import NAMESPACE, inline, saved, slug, write_figures
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader

SAID = "$x$ <b>\x0b & 推荐"


@pytest.fixture(scope="module")
def drawn(toys: Store) -> list[str]:
    """Every figure of the toys' report, as on the page."""
    report = build(load(Reader(toys), "amazon_toys", "clean"))
    plots = [plot for section in report.sections for plot in section.plots]
    return [inline(plot, f"f{place}") for place, plot in enumerate(plots)]


def made(points: int) -> Plot:
    with drawing(SAID, "y") as axes:
        tell(axes.scatter(range(points), [0.1234567] * points), [f"point {n}" for n in range(points)])
    return Plot("made", "What it is", "How to read it.", figure_of(axes))


def elements(svg: str) -> list[Element]:
    return list(ElementTree.fromstring(svg).iter())


def test_ids_are_each_figures_own_and_all_references_are_to_them(drawn: list[str]) -> None:
    seen: set[str] = set()
    for place, svg in enumerate(drawn):
        ids = [each.attrib["id"] for each in elements(svg) if "id" in each.attrib]
        assert len(ids) == len(set(ids)) and not seen & set(ids)
        assert all(each.startswith(f"f{place}-") for each in ids)
        referred = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
        labels = {f"f{place}-title", f"f{place}-desc"}
        assert referred and referred | labels == set(ids)
        seen |= set(ids)


def test_each_says_what_it_is() -> None:
    root = ElementTree.fromstring(inline(made(3), "f"))
    title, desc = root[:2]
    assert root.get("role") == "img" and root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert (title.text, desc.text) == ("What it is", "How to read it.")


@pytest.mark.parametrize("points", [1, 2, 7, 500])
def test_each_point_says_what_it_is(points: int) -> None:
    titles = [each for each in elements(inline(made(points), "f")) if each.tag == f"{NAMESPACE}title"]
    assert [each.text for each in titles[1:]] == [f"point {n}" for n in range(points)]
    marks = [each for each in elements(inline(made(points), "f")) if each.find(f"{NAMESPACE}title") is not None][1:]
    places = [float(each.get("x", "nan")) for each in marks]
    assert len(marks) == points and places == sorted(set(places)), "in the order of the points"


def test_text_is_text_as_it_was_written() -> None:
    texts = [each.text for each in elements(inline(made(1), "f")) if each.tag == f"{NAMESPACE}text"]
    assert SAID.replace("\x0b", "") in texts, "no formula, no markup, nothing that XML cannot say"


def test_hundreds_of_points_are_light() -> None:
    without = [len(re.sub("<title>.*?</title>", "", inline(made(n), "f"))) for n in (100, 600)]
    assert (without[1] - without[0]) / 500 < 50


def test_what_is_no_series_has_the_colours_of_the_page(drawn: list[str]) -> None:
    for svg in drawn:
        assert not set(re.findall(r"#[0-9a-f]{6}", svg)) & {INK, SOFT, "#000000", "#ffffff"}
        assert "font-family" not in svg and "<style" not in svg
        texts = [each.get("style", "") for each in elements(svg) if each.tag == f"{NAMESPACE}text"]
        assert texts and all("fill: var(--ink)" in style for style in texts)


def test_every_colour_can_be_told_from_both_grounds() -> None:
    """3:1 for what is drawn, 4.5:1 for what is read (WCAG 2.2, 1.4.11 and 1.4.3)."""
    sheet = (ROOT / "dashboards" / "report.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root {(.*?)}", sheet)[:2]]
    assert len(themes) == 2 and themes[0].keys() == themes[1].keys()
    for theme in themes:
        for color in {*COLORS, *by_rank(50)}:
            assert contrast(color, theme["ground"]) >= 3, (color, theme["ground"])
        for ink in ("ink", "soft", "accent"):
            assert min(contrast(theme[ink], theme[ground]) for ground in ("ground", "back")) >= 4.5, (ink, theme)
    assert by_rank(1) and by_rank(2)[0] != by_rank(2)[1] and RANKS(0.0) != RANKS(1.0)


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_files_have_colours_and_text_of_their_own(tmp_path: Path) -> None:
    (file,) = write_figures({"A/B": made(2).figure}, tmp_path, "--figures")
    assert file == tmp_path / f"{slug('A/B')}.svg"
    text = file.read_text(encoding="utf-8")
    assert INK in text and "var(" not in text and "推荐" in text
    ElementTree.fromstring(text)


@pytest.mark.parametrize(("length", "columns"), [(5, 4), (46, 1)])
def test_a_legend_leaves_the_axes_their_room_however_long_its_names_are(length: int, columns: int) -> None:
    with drawing("x", "y") as axes:
        for place in range(6):
            axes.plot([0, 1], [0, place], label=str(place) * length)
        legend(axes)
    figure = figure_of(axes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved(figure, "f")
    assert axes.get_legend()._ncols == columns and axes.get_position().width > 0.7
