"""A new part is one new file or function, and then there: in help, on the command line, in reports.

A copy of the package gets one part of each kind, as somebody would write it, and a job that chooses all of them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDED = {
    "evaluation/metrics.py": '''
def hit_rate(ranking: Ranking, k: int) -> Values:
    """One where any of the first k recommendations is a held-out item."""
    return ranking.hits[:, :k].any(axis=1).astype(np.float64)
''',
    "data/splits.py": '''
def first_one_out(data: Interactions, rng: np.random.Generator) -> Interactions:
    """Everybody's history as leave_one_out divides it, drawn at random."""
    return per_user_random(data, rng, "60/20/20")
''',
    "data/protocols.py": '''
def untouched(clean: Interactions, share: float) -> Interactions:
    """The hits as they are, however much noise is asked for."""
    return replace(clean, notes=(*clean.notes, f"asked for {share} and added nothing"))
''',
    "data/sources/made_up.py": '''
"""Generated data under another name."""
from unblur.data.sources.sample import example, load
''',
    "data/presets.py": '\nPRESETS["made"] = Preset(source="made_up", forms=((),))\n',
    "models/closed_form/most.py": '''
"""Popularity under another name."""
from unblur.models.closed_form import popularity

class Config(popularity.Config):
    """Its parameters."""

class Model(popularity.Model):
    config_class = Config
''',
}
SPACE = "model: most\nparameters: {recent_share: {type: float, low: 0.5, high: 1}}\n"
JOB = """
import contextlib
import sys
import tyro
from unblur import cli
from unblur.experiments.options import SearchOptions

with contextlib.suppress(SystemExit):
    tyro.cli(SearchOptions, args=["--help"], config=cli.FLAGS)

from unblur.evaluation.measuring import keys
from unblur.experiments.tune import search

def job(flags):
    sys.argv = ["tune.py", "--dry-run", *flags]
    cli.run(lambda options: search(options, cli.console()), SearchOptions)

print("in reports:", *keys([10]), flush=True)
for flags in eval(sys.argv[1]):
    try:
        job(flags)
    except SystemExit as end:
        print("status", end.code, flush=True)
"""
FLAGS = {
    "dataset": "made",
    "split": "first_one_out",
    "protocol": "untouched",
    "noise-share": "0.25",
    "model": "most",
    "metric": "hit_rate@10",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the grown package, where nothing of the checkout is at hand."""
    shutil.copytree(ROOT / "platform" / "unblur", tmp_path / "unblur", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in ADDED.items():
        with (tmp_path / "unblur" / name).open("a") as file:
            file.write(f"\n{text}")
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "most.yaml").write_text(SPACE)
    return tmp_path


def test_what_is_added_can_be_chosen_and_is_in_help_and_reports(copy: Path) -> None:
    """In one process, since each takes seconds to start: help, a wrong name for each flag, then the right ones."""
    wrong = {flag: f"x{FLAGS[flag][1:]}" for flag in ("dataset", "split", "protocol", "model", "metric")}
    right = [word for flag, name in FLAGS.items() for word in (f"--{flag}", name)]
    flags = [*(["--model", "most", f"--{flag}", name] for flag, name in wrong.items()), right]
    environment = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "1000"}
    code = [sys.executable, "-c", JOB, repr(flags)]
    done = subprocess.run(code, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    help_text, _, told = done.stdout.partition("in reports:")
    for name in set(FLAGS.values()) - {"0.25"}:
        assert name in help_text, name
    assert "Everybody's history as leave_one_out divides it" in help_text, "with its own words"
    assert "hit_rate_at_10" in told.splitlines()[0]
    assert told.count("status 2") == told.count("status") == len(wrong)
    for flag, name in wrong.items():
        assert f"{name!r}. Did you mean {FLAGS[flag]!r}?" in done.stderr
    for line in ("split per_user_random 60/20/20", "asked for 0.25 and added nothing", "most", "dry run: nothing was"):
        assert line in told, line
