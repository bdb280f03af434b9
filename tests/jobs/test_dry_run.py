"""What a search will take is said before it begins, and nothing is begun."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from unblur import models
from unblur.data.request import DataRequest
from unblur.experiments.options import SearchOptions
from unblur.experiments.tune import tune
from unblur.models.base import TrainableRecommender

SPACE = """
model: cfg_diffrec
parameters: {lr: {type: float, low: 1.0e-3, high: 1.0e-1}}
fixed: {dims: [4000]}
"""
PLACES, SEEDS = 1, 3


def test_checkpoints_and_models_are_projected_before_the_start(
    local_ray: None, plays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(SPACE)
    console = Console(record=True, width=1000, file=io.StringIO())
    data = DataRequest(dataset=str(plays), user_column="listener", item_column="track", time_column="played_at")
    tune(SearchOptions(data=data, search_space=Path("space.yaml"), seeds=SEEDS, dry_run=True), console)
    config = models.configure("cfg_diffrec", {"dims": [4000]}, "test")
    model = models.model_class("cfg_diffrec")(config, 300, 60)
    assert isinstance(model, TrainableRecommender)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    # of each running training two checkpoints and one that is being written, each with weights, the best ones and
    # Adam's two moments; a model for each seed
    most = PLACES * 3 * 4 * weights + SEEDS * weights
    told = re.search(r"on the disk: up to (\d+) MiB", console.export_text())
    assert told and int(told[1]) == round(most / 2**20) > 10
    assert not Path("unblur-runs/study.db").exists()
