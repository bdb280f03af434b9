"""Studies as files: those that are there are sound, and bad ones are named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from unblur import models
from unblur.data.presets import PRESETS
from unblur.errors import UserError
from unblur.evaluation.measuring import parse_metric
from unblur.experiments.ablation import Ablation, Point, load_ablation

FOLDER = Path(__file__).parents[2] / "search_spaces" / "ablations"
FILES = sorted(FOLDER.glob("*.yaml"))
BASE: dict[str, Any] = {
    "question": "?",
    "dataset": "sample",
    "model": "cfg_diffrec",
    "grid": {"form": {"raw": {}, "partial": {"condition_dropout": 0.5}}, "p_uncond": [0.0, 0.2]},
    "inference": {"guidance_scale": [0.0, 1.0, 2.0]},
    "x": "guidance_scale",
}


def study(**changes: Any) -> Ablation:
    return Ablation(name="made", **{**BASE, **changes})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_study_is_sound(file: Path) -> None:
    found = load_ablation(file)
    cells = found.cells()
    assert found.dataset in PRESETS and parse_metric(found.metric)
    for cell in cells:
        swept = {name for point in cell.points for name in point.settings}
        assert cell.params.keys() | swept <= models.config_class(cell.model).model_fields.keys()
    trainings = [(cell.model, cell.data, models.configure(cell.model, dict(cell.params), "")) for cell in cells]
    assert len(set(map(str, trainings))) == len(cells), "two cells are the same training"


def test_the_studies_of_the_papers_figures_are_there() -> None:
    names = {file.stem for file in FILES}
    assert {"guidance_forms_toys", "guidance_forms_ml1m", "t_prime", "noise_scale", "steps_T"} <= names
    assert {"time_sampling", "clusters_C", "scale_curve_toys", "scale_curve_beauty"} <= names
    forms = load_ablation(FOLDER / "guidance_forms_toys.yaml")
    assert len(forms.cells()) == 9 * 4
    for cell in forms.cells():
        scales = [point.settings["guidance_scale"] for point in cell.points]
        assert scales == ([1.0] if cell.labels["p_uncond"] == 0 else [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])


def test_cells_are_the_product_of_the_axes_and_points_those_with_a_meaning() -> None:
    cells = study().cells()
    assert [dict(cell.labels) for cell in cells] == [
        {"form": form, "p_uncond": p} for form in ("raw", "partial") for p in (0.0, 0.2)
    ]
    assert cells[2].params == {"condition_dropout": 0.5, "p_uncond": 0.0}
    assert [len(cell.points) for cell in cells] == [1, 3, 1, 3]
    assert study(grid={}, inference={"guidance_scale": [1.0]}).cells()[0].points == (Point({"guidance_scale": 1.0}),)
    assert study(inference={}, x="form").cells()[0].points == (Point(),), "scored as it is"


SEVERAL: dict[str, Any] = {"recommender": {"EASE": {"model": "ease", "l2": 9.0}, "guided": {"p_uncond": 0.2}}}


def test_an_axis_may_be_the_model_or_a_share_of_the_data() -> None:
    cells = study(grid={**SEVERAL, "protocol_share": [0.1, 1.0]}, protocol="sparse", seeds=2).cells()
    assert [cell.model for cell in cells] == ["ease", "ease", "cfg_diffrec", "cfg_diffrec"]
    assert [(cell.data.protocol, cell.data.protocol_share) for cell in cells[:2]] == [("sparse", 0.1), ("sparse", 1.0)]
    assert dict(cells[0].params) == {"l2": 9.0}


def test_each_of_several_models_is_swept_over_what_it_has_and_trained_anew_where_it_is_random() -> None:
    made = study(grid=SEVERAL, newest=[0, 2, "all"], seeds=2)
    ease, guided = made.cells()
    assert ease.points == (Point(newest=0), Point(newest=2), Point(newest="all"))
    assert [point.labels for point in guided.points] == [
        {"guidance_scale": scale, "newest": newest} for scale in (0.0, 1.0, 2.0) for newest in (0, 2, "all")
    ]
    assert [(str(cell), seed) for cell, seed in made.trainings()] == [
        ("recommender EASE", 0),
        ("recommender guided", 0),
        ("recommender guided", 1),
    ]
    whole = study(grid=SEVERAL).cells()[1].points
    assert [point.key for point in guided.points if point.newest == "all"] == [point.key for point in whole]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": "scale"}, "x = scale is no axis; there are form, p_uncond, guidance_scale"),
        ({"inference": {"noise_scale": [0.1]}, "x": "form"}, "noise_scale changes the training; there are"),
        ({"grid": {"guidance_scale": [1.0]}}, "guidance_scale is both in grid and in inference"),
        ({"grid": {"T": []}}, "T has no values"),
        ({"grid": {"newest": [1]}}, "newest is an axis of its own, beside inference"),
        ({"newest": [-1]}, "newest.*greater than or equal to 0.*found -1"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"seeds": 0}, "seeds: Input should be greater than or equal to 1 .found 0"),
    ],
)
def test_a_bad_study_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump({**BASE, **changes}))
    with pytest.raises(UserError, match=rf"bad.yaml:\d+: .*{message}"):
        load_ablation(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"lr": [0.1, -1]}}, r"ablation made, \{'lr': -1\}: lr = -1"),
        ({"grid": {"form": {"a": {"learning_rate": 1}}}}, "unknown parameter 'learning_rate'"),
        ({"grid": {"p_uncond": [0.0]}, "inference": {"guidance_scale": [2.0]}}, "only guidance_scale = 1"),
        ({"grid": {"of": {"users": {"model": "lightgcn"}}}, "newest": [0]}, "lightgcn knows users by more than their"),
    ],
)
def test_a_cell_that_the_model_refuses_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        study(**changes).cells()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("condition_dropout", "condition_dropoot", 8, "grid.form.partial.condition_dropoot: unknown parameter"),
        ("lr: 1e-3", "lrr: 1e-3", 4, "parameters.lrr: unknown parameter 'lrr'. Did you mean 'lr'?"),
        ("raw: {}", "raw: {model: diffreck}", 7, "grid.form.raw.model: unknown model 'diffreck'. Did you mean"),
        ("lr: 1e-3", "lr: -1", 5, "grid: ablation bad, {'form': 'raw', 'p_uncond': 0.0}: lr = -1"),
        ("cfg_diffrec", "cfg_diffreck", 1, "unknown model 'cfg_diffreck'. Did you mean 'cfg_diffrec'?"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_line(old: str, new: str, line: int, says: str, tmp_path: Path) -> None:
    text = """question: "?"
dataset: sample
model: cfg_diffrec
parameters: {lr: 1e-3}
grid:
  form:
    raw: {}
    partial: {condition_dropout: 0.5}
  p_uncond: [0.0, 1e-4]
x: p_uncond
"""
    (tmp_path / "bad.yaml").write_text(text)
    assert [cell.labels["p_uncond"] for cell in load_ablation(tmp_path / "bad.yaml").cells()][:2] == [0.0, 1e-4]
    (tmp_path / "bad.yaml").write_text(text.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_ablation(tmp_path / "bad.yaml")
    assert str(caught.value).startswith(f"{tmp_path}/bad.yaml:{line}: {says}")
