"""Two Ray Train workers train what one does, and say how much faster."""

import json
from pathlib import Path

import mlflow
import pytest
from tests.helpers.jobs import Run

PARAMS = ["--set", "lr=1e-3", "--set", "dims=[200]", "--set", "normalize=true", "--set", "reweight=false"]


@pytest.mark.slow
def test_two_workers_agree_with_one_within_the_noise_of_seeds(tmp_path: Path, run: Run) -> None:
    values, told = {}, {}
    for workers in (1, 2):
        # a storage each: what one worker has trained, two would not train again
        (folder := tmp_path / str(workers)).mkdir()
        flags = ["--epochs", 10, "--seeds", 3, "--workers-per-trial", workers, "--summary", "s.json"]
        done = run(folder, "train", "--dataset", "sample", *PARAMS, *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads((folder / "s.json").read_text())
        values[workers], told[workers] = summary["test"]["ndcg_at_10"], summary["efficiency"]
    assert told[1] is None and f"2 workers: {2 * told[2]:.1f} times as fast as one" in done.stdout
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    logged = mlflow.search_runs(search_all_experiments=True)["metrics.train/efficiency"].dropna()
    assert len(logged) == 3 and logged.mean() == pytest.approx(told[2])
    spread = max(values[1]["std"], values[2]["std"], 0.001)
    assert abs(values[1]["mean"] - values[2]["mean"]) < 4 * spread
