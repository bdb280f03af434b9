"""The files of the papers' rows."""

import re
from pathlib import Path

import pytest

from unblur.data.presets import PRESETS
from unblur.errors import UserError
from unblur.evaluation.measuring import keys, spelled
from unblur.experiments.paper_rows import Preset, load_preset, load_presets
from unblur.models import config_class
from unblur.reporting.papers import published

FOLDER = Path(__file__).parents[2] / "search_spaces" / "papers"
ROWS = load_presets(sorted(FOLDER.glob("*.yaml")))


@pytest.mark.parametrize("preset", ROWS, ids=lambda preset: preset.name)
def test_a_row_builds_its_config(preset: Preset) -> None:
    assert type(preset.config) is config_class(preset.model)
    assert preset.dataset in PRESETS
    assert preset.expected.keys() <= set(map(spelled, keys()))
    assert all(0 < value < 1 for value in preset.expected.values())


def test_every_member_of_the_family_has_rows() -> None:
    family = {"diffrec", "l_diffrec", "t_diffrec", "lt_diffrec", "cfg_diffrec"}
    assert {preset.model for preset in ROWS} == {*family, "diffurec", "sasrec"}
    cells = [(preset.paper, preset.table, preset.row, preset.dataset) for preset in ROWS]
    assert len(set(cells)) == len(cells)


def test_a_figure_that_the_reports_know_too_is_the_same_there() -> None:
    told = {(arxiv(each.source), each.dataset, each.name, spelled(each.metric)): each.value for each in published()}
    both = [
        (preset.name, metric, value, told[key])
        for preset in ROWS
        for metric, value in preset.expected.items()
        if (key := (arxiv(preset.paper), preset.dataset, preset.row, metric)) in told
    ]
    assert len(both) > 300
    assert [each for each in both if each[2] != each[3]] == []


def arxiv(source: str) -> str:
    """The number there, or the source as it is."""
    return next(iter(re.findall(r"\d{4}\.\d{5}", source)), source)


def test_a_row_is_held_against_one_of_the_same_table_and_data() -> None:
    rows = {preset.name: preset for preset in ROWS}
    held = [(preset, rows[preset.against]) for preset in ROWS if preset.against]
    assert [preset.model for preset, _ in held] == ["cfg_diffrec"] * 8, "the CFG paper's claim"
    for preset, other in held:
        assert (preset.paper, preset.table, preset.dataset) == (other.paper, other.table, other.dataset)
        assert preset.expected.keys() == other.expected.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", ": found list, expected fields"),
        ("a: 1\npaper: [", ":2: not valid YAML"),
        ("paper: x", ":1: table: is missing"),
        ("colour: red", "unknown field 'colour'"),
    ],
)
def test_other_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "row.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"(?s)row.yaml.*{message}"):
        load_preset(tmp_path / "row.yaml")


def test_a_row_that_is_held_against_none_that_there_is_is_named(tmp_path: Path) -> None:
    row = (FOLDER / "cfg_diffrec_amazon_toys.yaml").read_text()
    (tmp_path / "lonely.yaml").write_text(row)
    with pytest.raises(UserError, match=r"lonely\.yaml: against: no row original_amazon_toys; there are: lonely"):
        load_presets([tmp_path / "lonely.yaml"])
