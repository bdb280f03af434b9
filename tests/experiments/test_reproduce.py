"""Which rows are run, and that a row is run as its command says."""

import shlex
from pathlib import Path

import pytest
import tyro
from rich.console import Console

from unblur import cli, models
from unblur.documents import configured
from unblur.errors import UserError
from unblur.experiments.options import ReproduceOptions, TrainOptions
from unblur.experiments.paper_rows import Preset, load_presets
from unblur.experiments.reproduce import chosen, preset_files, reproduce, training


@pytest.mark.parametrize("preset", load_presets(preset_files()), ids=lambda preset: preset.name)
def test_a_row_is_trained_as_its_command_says(preset: Preset) -> None:
    words = shlex.split(preset.command)
    asked = tyro.cli(TrainOptions, args=words[2:], config=cli.FLAGS)
    assert words[:2] == ["python", "jobs/train.py"]
    mine = training(preset, ReproduceOptions(dataset=preset.dataset))
    assert mine.model_dump() == asked.model_dump(include=set(type(mine).model_fields))
    assert preset.config == configured(models.config_class(asked.model), asked.set, None)


def test_rows_are_chosen_by_dataset_and_model_or_name() -> None:
    names = {row.name for row in chosen("diffrec_ml_1m_clean, amazon_toys", None)}
    assert {"diffrec_eps_ml_1m_clean", "diffrec_ml_1m_clean", "cfg_diffrec_amazon_toys"} < names
    rows = chosen("diffrec_ml_1m_clean,amazon_toys", "l_diffrec,original_amazon_toys")
    assert [row.name for row in rows] == ["l_diffrec_ml_1m_clean", "original_amazon_toys"]


@pytest.mark.parametrize(
    ("dataset", "model", "message"),
    [
        ("sample", None, "--dataset: no row of a paper is on sample; there are: amazon_beauty, .*diffrec_yelp_noisy"),
        ("amazon_toys,nothing", None, "no row of a paper is on nothing"),
        (" , ", None, "on nothing; there are"),
        ("amazon_toys", "ease", "--model: no row on amazon_toys is ease; there are: cfg_diffrec, .*original"),
    ],
)
def test_an_unknown_word_is_told_with_those_that_there_are(dataset: str, model: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen(dataset, model)


def test_a_dry_run_tells_what_is_not_at_hand_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ReproduceOptions(dataset="diffrec_yelp_clean", data_dir=tmp_path, dry_run=True)
    console = Console(record=True, width=500)
    rows = reproduce(options, console, lambda _: pytest.fail("saved")).rows
    told = console.export_text()
    assert {row.state for row in rows} == {"not at hand"}
    assert all(row.preset.name in told for row in rows) and "yelp_clean/train_list.npy" in told
    assert list(tmp_path.iterdir()) == []
