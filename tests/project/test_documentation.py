"""The pages that are made, and what the written ones say of files."""

import html
import re
from types import ModuleType

import pytest
import yaml
from tests.helpers import ROOT
from tests.helpers.programs import loaded

import unblur
from unblur import models
from unblur.experiments.monitor import OF, Measure
from unblur.models.diffusion._config import DiffusionConfig

STUDIES = {file.stem for file in (ROOT / "search_spaces/ablations").glob("*.yaml")}


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    return loaded(ROOT / "docs/hooks.py")


def test_every_parameter_of_every_model_is_told_with_its_meaning(hooks: ModuleType) -> None:
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", hooks.page(), re.DOTALL | re.MULTILINE))
    common = sections.pop(hooks.COMMON)
    assert list(sections) == models.names()
    assert fields(common) == set(DiffusionConfig.model_fields)
    for name, text in sections.items():
        elsewhere = fields(common) if hooks.COMMON in text else set()
        assert fields(text) | elsewhere == set(models.config_class(name).model_fields) | elsewhere, name


def fields(section: str) -> set[str]:
    """The parameters that a section tells of; each must have its four cells, and its meaning."""
    tables = section.partition("\n### ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in tables.splitlines() if line.startswith("| `")]
    assert all(len(row) == 4 and row[1].strip() and row[3].strip() for row in rows), rows
    return {row[0].strip(" `") for row in rows}


def test_a_recipe_tells_what_is_its_own(hooks: ModuleType) -> None:
    told = "\n".join(hooks.model("cfg_diffrec"))
    assert "| `encoder` | TEXT | `bag` |" in told and "| `lr` |" not in told


def test_what_scoring_alone_changes_is_marked(hooks: ModuleType) -> None:
    rows = hooks.table(models.config_class("cfg_diffrec")).splitlines()
    (row,) = (line for line in rows if "| `guidance_scale` |" in line)
    assert "**Swept.**" in row and "With guidance = auto, classifier_free, independent:" in row


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == unblur.__version__ and cited["license"] == "Apache-2.0"
    papers = [value["value"].removeprefix("arXiv:") for each in cited["references"] for value in each["identifiers"]]
    assert papers and all(paper in (ROOT / "README.md").read_text() for paper in papers)


def test_every_study_has_its_place_among_the_reproducible() -> None:
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs/reproducing.md").read_text().partition("## Studies")[2]))
    assert told >= STUDIES


def test_the_pages_name_files_that_are_there() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        named = re.findall(r"`((?:examples|search_spaces|platform|jobs|dashboards)/[\w./]+?)/?`", page.read_text())
        assert not [name for name in named if not (ROOT / name).exists()], page


def test_the_page_on_monitoring_tells_every_measure() -> None:
    rows = re.findall(r"^\| `(ray_\w+)` \| ([^|]+?) \| ([^|]*?) \|$", (ROOT / "docs/monitoring.md").read_text(), re.M)
    assert [(name, told) for name, told, _ in rows] == [(each.exported, each.told) for each in Measure]
    assert [re.findall(r"`(\w+)`", labels) for *_, labels in rows] == [list(each.labels[len(OF) :]) for each in Measure]


def test_a_photograph_has_every_line_of_the_screen_in_its_colours() -> None:
    taken = "\x1b[1mtrial\x1b[0m   state\n    7   \x1b[32mcomplete\x1b[0m " + "x" * 63 + "\n"
    shown = loaded(ROOT / "docs/photograph.py").svg(taken, 80, "unblur tune")
    lines = [re.sub(r"<[^>]+>", "", line) for line in re.findall(r"<text[^>]*line-\d.*", shown)]
    told = html.unescape("".join(lines)).replace("\xa0", " ")
    assert "trial   state" in told and "    7   complete" in told and "x" * 63 in told
    assert "font-weight: bold" in shown and len(set(re.findall(r"-r\d+ { fill: (#\w+)", shown))) > 1
