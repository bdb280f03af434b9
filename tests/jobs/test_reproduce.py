"""jobs/reproduce.py end to end, on a paper of our own."""

import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.helpers.jobs import Run

from unblur.experiments.paper_rows import Preset

ROW = {
    "paper": "A paper",
    "table": "Table 1",
    "row": "DiffRec",
    "dataset": "sample",
    "model": "diffrec",
    "parameters": {"lr": 0.01, "dims": [8], "T": 2},
    "expected": {"ndcg@10": 0.05},
    "epochs": 2,
    "eval_every": 1,
    "metric": "ndcg@10",
}
SEEDS = 2


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Preset]:
    """A folder with rows that can be run, that cannot, and that has no data."""
    home = tmp_path_factory.mktemp("reproduce")
    folder = home / "search_spaces" / "papers"
    folder.mkdir(parents=True)
    preset = Preset.model_validate({**ROW, "name": "row"})
    rows = {
        "broken": {**ROW, "parameters": {"lr": 1e30, "dims": [8]}},
        "far": {**ROW, "dataset": "diffrec_yelp_clean"},
        "row": ROW,
    }
    for name, row in rows.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(row))
    return home, preset


@pytest.mark.slow
def test_rows_are_run_as_jobs_train_does_and_not_again(papers: tuple[Path, Preset], run: Run) -> None:
    home, preset = papers
    flags = ["--dataset", "sample,diffrec_yelp_clean", "--seeds", SEEDS, "--output", "r.md", "--data-dir", home]
    # the package has rows on the second of the data too
    done = run(home, "reproduce", *flags, "--model", "broken,far,row")
    assert done.returncode == 1 and "1 of 3 rows failed: broken" in done.stderr, done.stdout + done.stderr
    frame = pd.read_csv(home / "r.csv").set_index("preset")
    assert frame.state.to_dict() == {"broken": "failed", "far": "not at hand", "row": "done"}
    assert frame.seeds["row"] == SEEDS and frame.parameters_millions["row"] > 0

    command = shlex.split(preset.command)[2:]
    command[command.index("--seeds") + 1] = str(SEEDS)
    alone = run(home, "train", *command)
    assert alone.returncode == 0, alone.stderr
    assert "training" not in alone.stdout, "the same seeds were trained a second time"
    assert f"test ndcg@10: {frame.ours['row']:.4f} ± {frame.ours_sd['row']:.4f}" in alone.stdout

    again = run(home, "reproduce", *flags, "--model", "row")
    assert again.returncode == 0, again.stderr
    assert "training" not in again.stdout
    assert pd.read_csv(home / "r.csv").set_index("preset").ours["row"] == frame.ours["row"]
