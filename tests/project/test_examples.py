"""The examples, run as they stand."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers import ROOT

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"


def run(folder: Path, *command: str | Path, **changes: str) -> str:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    path = os.pathsep.join([changes.pop("path", ""), str(ROOT / "platform")])
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", **changes}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def test_own_data(plays: Path, tmp_path: Path) -> None:
    run(tmp_path, "sh", EXAMPLES / "own_data.sh", plays)
    table = pd.read_csv(tmp_path / "recommendations.csv", dtype=str)
    assert len(table) == 10 * table["user"].nunique() and table["user"].nunique() == 300
    assert "ease" in (tmp_path / "report.md").read_text()


def test_the_notebook_cell_by_cell(tmp_path: Path) -> None:
    """Without Jupyter: its code cells in their order, the last line of the last one printed instead of shown."""
    cells = json.loads((EXAMPLES / "notebook.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells), "nobody's output is in it"
    (tmp_path / "notebook.py").write_text("\n".join([*code, "print(lists)"]))
    lists = ast.literal_eval(run(tmp_path, sys.executable, "notebook.py", MPLBACKEND="agg").splitlines()[-1])
    assert list(lists) == [0.0, 1.0, 3.0] and all(len(set(items)) == 5 for items in lists.values())
    assert lists[0.0] != lists[3.0], "the dial turns"


def test_guidance_as_a_dial(tmp_path: Path) -> None:
    lines = [line.split() for line in run(tmp_path, sys.executable, EXAMPLES / "guidance_as_a_dial.py").splitlines()]
    scales = {float(scale): (float(ndcg), float(coverage)) for scale, ndcg, coverage, _ in lines[-5:]}
    assert list(scales) == [0, 0.5, 1, 2, 4]
    # without the condition everyone gets the same list, but for what each has already
    assert scales[0][1] < scales[1][1] and scales[0][0] < scales[1][0]


@pytest.mark.parametrize("channel", ["none", "leave_one_out"])
def test_a_trained_channel(tmp_path: Path, channel: str) -> None:
    flags = ["--channel", channel, "--epochs", "5"]
    swept = run(tmp_path, sys.executable, EXAMPLES / "trained_channel.py", *flags).splitlines()[-1]
    ndcg = [float(value) for value in re.findall(r": (\.?[\d.]+)", swept)]
    # of a network that has hardly begun: what the channel says is what it knows
    assert len(ndcg) > 5 and ndcg[0] < max(ndcg)


def test_a_denoiser_from_an_installed_package(tmp_path: Path) -> None:
    """As pip leaves it: the module, and its metadata with the entry point."""
    site = tmp_path / "site"
    metadata = site / "unblur_film-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: unblur-film\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[unblur.denoisers]\nfilm = unblur_film\n")
    (site / "unblur_film.py").write_text((EXAMPLES / "new_denoiser" / "unblur_film.py").read_text())
    flags = "--dataset sample --model cfg_diffrec --set denoiser=film --set film_reach=0.5 --epochs 2 --eval-every 1"
    command = ["train", *flags.split(), "--seeds", "1", "--trainer", "local"]
    code = "from unblur.cli import main; main()"
    assert "ndcg@10" in run(tmp_path, sys.executable, "-c", code, *command, path=str(site))
