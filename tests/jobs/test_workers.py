"""Two Ray Train workers train what one does."""

import json
from pathlib import Path

import pytest
from running import Run

PARAMS = ["--set", "lr=1e-3", "--set", "dims=[200]", "--set", "normalize=true", "--set", "reweight=false"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_agree_with_one_within_the_noise_of_seeds(tmp_path: Path, run: Run) -> None:
    values = {}
    for workers in (1, 2):
        flags = ["--epochs", 10, "--seeds", 3, "--workers-per-trial", workers, "--summary", f"{workers}.json"]
        done = run(tmp_path, "train", "--dataset", "sample", *PARAMS, *flags, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        values[workers] = json.loads((tmp_path / f"{workers}.json").read_text())["test"]["ndcg_at_10"]
    spread = max(values[1]["std"], values[2]["std"], 0.001)
    assert abs(values[1]["mean"] - values[2]["mean"]) < 4 * spread
