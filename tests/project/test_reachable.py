"""A new part is one new file or function, and then there: in help, on the command line, in reports.

A copy of the package gets one part of each kind, as somebody would write it, and a job that chooses all of them.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDED = {
    "evaluation/metrics.py": '''
def first_hit(ranking: Ranking, k: int) -> Values:
    """One where the first recommendation is a held-out item."""
    return ranking.hits[:, 0].astype(np.float64)
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
    "diffusion/schedules.py": '''
def sudden(T: int, noise_scale: float, noise_min: float, noise_max: float) -> Tensor:
    """As much noise in each step as in the last."""
    return torch.full((T,), noise_scale * noise_max, dtype=torch.float64)
''',
    "denoisers/film.py": '''
"""An MLP with a parameter of its own."""
from unblur.denoisers import mlp

class Config(mlp.Config):
    film_size: int = 3

class Network(mlp.Network):
    """The same layers."""
''',
    "encoders/tote.py": '''
"""A bag under another name."""
from unblur.encoders import bag

class Config(bag.Config):
    """Its parameters."""

class Encoder(bag.Encoder):
    """The same code."""
''',
    "diffusion/objectives/error.py": '''
"""The squared error under another name."""
from unblur.diffusion.objectives import squared_error

class Config(squared_error.Config):
    """Its parameters."""

class Objective(squared_error.Objective):
    """The same loss."""
''',
    "spaces/rows.py": '''
"""The interactions under another name."""
from unblur.spaces import interactions

class Config(interactions.Config):
    """Its parameters."""

class Space(interactions.Space):
    """The same rows."""
''',
    "pairings/some.py": '''
"""The pairing of parts under another name."""
from unblur.pairings import partial

class Config(partial.Config):
    """Its parameters."""

class Pairing(partial.Pairing):
    """The same examples."""
''',
    "diffusion/guidance/free.py": '''
"""Classifier-free guidance under another name."""
from unblur.diffusion.guidance import classifier_free

class Config(classifier_free.Config):
    """Its parameters."""

class Guidance(classifier_free.Guidance):
    """The same rule."""
''',
    "diffusion/samplers.py": '''
def lively(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(variance, sigma) of a draw from the posterior, under another name."""
    return ancestral(now, before)
''',
    "diffusion/predictions.py": '''
def clean() -> Prediction:
    """x_0 itself, under another name."""
    return x0()
''',
    "diffusion/ramps.py": '''
def flat(progress: float) -> float:
    """The whole scale at every step, under another name."""
    return constant(progress)
''',
    "nn/item_losses.py": '''
def softmax(hidden: Tensor, table: Tensor, targets: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy over all items, under another name."""
    return cross_entropy(hidden, table, targets, settings)
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
import sys
import ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
from unblur.cli import main
from unblur.evaluation.measuring import keys

for words in eval(sys.argv[1]):
    sys.argv = ["unblur", *words]
    try:
        main()
    except SystemExit as end:
        print("status", end.code, flush=True)
print("in reports:", *keys([10]), flush=True)
"""
FLAGS = {
    "dataset": "made",
    "split": "first_one_out",
    "protocol": "untouched",
    "protocol-share": "0.25",
    "model": "most",
    "metric": "first_hit@10",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the grown package, where nothing of the checkout is at hand."""
    shutil.copytree(ROOT / "platform" / "unblur", tmp_path / "unblur")
    for name, text in ADDED.items():
        with (tmp_path / "unblur" / name).open("a") as file:
            file.write(f"\n{text}")
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "most.yaml").write_text(SPACE)
    return tmp_path


PARTS = {
    "space": "rows",
    "pairing": "some",
    "encoder": "tote",
    "denoiser": "film",
    "guidance": "free",
    "guidance_ramp": "flat",
    "loss": "error",
    "schedule": "sudden",
    "sampler": "lively",
    "prediction": "clean",
}


def flags(names: Mapping[str, str]) -> list[str]:
    return [word for flag, name in names.items() for word in (f"--{flag}", name)]


def sets(values: Mapping[str, object]) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def test_what_is_added_can_be_chosen_and_is_in_help_and_reports(copy: Path) -> None:
    """In one process, since each takes seconds to start: help, a wrong name for each kind, then the right ones."""
    wrong = {flag: f"x{FLAGS[flag][1:]}" for flag in ("dataset", "split", "protocol", "model", "metric")}
    wrong_parts = {part: f"x{name[1:]}" for part, name in PARTS.items()}
    train = ["train", "--model", "cfg_diffrec", "--epochs", "1", "--dry-run"]
    calls = [
        ["tune", "--help"],
        *(["tune", "--model", "most", f"--{flag}", name] for flag, name in wrong.items()),
        *([*train, *sets({part: name})] for part, name in wrong_parts.items()),
        ["tune", "--dry-run", *flags(FLAGS)],
        [*train, *sets({**PARTS, "film_size": 4})],
        ["train", "--model", "gru4rec", "--epochs", "1", "--dry-run", *sets({"loss": "softmax"})],
    ]
    environment = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "1000"}
    code = [sys.executable, "-c", JOB, repr(calls)]
    done = subprocess.run(code, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    help_text, _, told = done.stdout.partition("status")
    for name in set(FLAGS.values()) - {"0.25"}:
        assert name in help_text, name
    assert "Everybody's history as leave_one_out divides it" in help_text, "with its own words"
    assert told.count("status 2") == len(wrong) + len(wrong_parts) and "status 1" not in told, done.stderr
    for given, known in ((wrong, FLAGS), (wrong_parts, PARTS)):
        for kind, name in given.items():
            assert f"{name!r}. Did you mean {known[kind]!r}?" in done.stderr
    for line in ("split per_user_random 60/20/20", "asked for 0.25 and added nothing", "most"):
        assert line in told, line
    assert told.count("dry run: nothing was started") == 3
    assert "first_hit_at_10" in told.partition("in reports:")[2]
