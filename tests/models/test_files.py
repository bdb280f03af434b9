"""A model's folder: what is written comes back, and damage is named."""

from pathlib import Path

import pytest
import torch

from unblur.errors import UserError
from unblur.models.base import ModelConfig
from unblur.models.files import CONFIG, WEIGHTS, load_model, save_model


class Config(ModelConfig):
    size: int = 3
    dims: tuple[int, ...] = (200, 600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"view": whole[:, 1:3], "shared": whole, "count": torch.tensor([2**40])}
    save_model(tmp_path / "a" / "model", Config(size=7), tensors, {"n_items": 4})
    return tmp_path / "a" / "model"


def test_round_trip(folder: Path) -> None:
    config, tensors, extra = load_model(folder, Config)
    assert config == Config(size=7)
    assert extra == {"n_items": 4}
    assert tensors["view"].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert tensors["count"].item() == 2**40


def test_saving_again_replaces_and_leaves_nothing_behind(folder: Path) -> None:
    save_model(folder, Config(size=8), {"view": torch.zeros(1)}, {})
    config, tensors, _ = load_model(folder, Config)
    assert config.size == 8
    assert list(tensors) == ["view"]
    assert sorted(file.name for file in folder.iterdir()) == [CONFIG, WEIGHTS]


def test_missing_folder_and_weights(folder: Path) -> None:
    with pytest.raises(UserError, match="no saved model"):
        load_model(folder / "nowhere", Config)
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f"incomplete.*{WEIGHTS}"):
        load_model(folder, Config)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": 3}', '{"config": {"unknown_key": 1}}'])
def test_wrong_configuration_is_named(folder: Path, text: str) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(UserError, match=CONFIG):
        load_model(folder, Config)


def test_truncated_weights_are_named(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for length in (0, 5, len(whole) - 1):
        (folder / WEIGHTS).write_bytes(whole[:length])
        with pytest.raises(UserError, match=WEIGHTS):
            load_model(folder, Config)
