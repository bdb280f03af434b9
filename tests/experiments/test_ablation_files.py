"""Studies as files: those that are there are sound, and bad ones are named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from unblur import models
from unblur.data.presets import PRESETS
from unblur.errors import UserError
from unblur.evaluation.measuring import parse_metric
from unblur.experiments.ablation import Ablation, load_ablation

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
        assert cell.params.keys() | found.inference.keys() <= models.config_class(cell.model).model_fields.keys()
    trainings = [(cell.model, cell.data, models.configure(cell.model, dict(cell.params), "")) for cell in cells]
    assert len(set(map(str, trainings))) == len(cells), "two cells are the same training"


def test_the_studies_of_the_papers_figures_are_there() -> None:
    names = {file.stem for file in FILES}
    assert {"guidance_forms_toys", "guidance_forms_ml1m", "t_prime", "noise_scale", "steps_T"} <= names
    assert {"time_sampling", "clusters_C", "scale_curve_toys", "scale_curve_beauty"} <= names
    forms = load_ablation(FOLDER / "guidance_forms_toys.yaml")
    assert len(forms.cells()) == 9 * 4
    for cell in forms.cells():
        scales = [point["guidance_scale"] for point in cell.points]
        assert scales == ([1.0] if cell.labels["p_uncond"] == 0 else [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])


def test_cells_are_the_product_of_the_axes_and_points_those_with_a_meaning() -> None:
    cells = study().cells()
    assert [dict(cell.labels) for cell in cells] == [
        {"form": form, "p_uncond": p} for form in ("raw", "partial") for p in (0.0, 0.2)
    ]
    assert cells[2].params == {"condition_dropout": 0.5, "p_uncond": 0.0}
    assert [len(cell.points) for cell in cells] == [1, 3, 1, 3]
    assert study(grid={}, inference={"guidance_scale": [1.0]}).cells()[0].points == ({"guidance_scale": 1.0},)
    assert study(inference={}, x="form").cells()[0].points == ({},), "without a sweep the network is scored as it is"


def test_an_axis_may_be_the_model_or_the_noise_in_the_data() -> None:
    both = {
        "grid": {"recommender": {"VAE": {"model": "multi_vae", "lr": 0.1}, "guided": {}}, "noise_share": [0.0, 0.3]}
    }
    cells = study(**both, inference={}, x="noise_share").cells()
    assert [cell.model for cell in cells] == ["multi_vae", "multi_vae", "cfg_diffrec", "cfg_diffrec"]
    clean, noisy = (cell.data for cell in cells[:2])
    assert (clean.protocol, noisy.protocol, noisy.noise_share) == ("clean", "noisy_random", 0.3)
    assert dict(cells[0].params) == {"lr": 0.1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": "scale"}, "x = scale is no axis; there are form, p_uncond, guidance_scale"),
        ({"inference": {"noise_scale": [0.1]}, "x": "form"}, "noise_scale changes the training; there are"),
        ({"grid": {"guidance_scale": [1.0]}}, "guidance_scale is both in grid and in inference"),
        ({"grid": {"T": []}}, "T has no values"),
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
