"""A newcomer's walk: the examples of CONTRIBUTING.md, in a fresh copy, each part chosen from the command line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILE = re.compile(r'```(?:python|yaml) title="([^"]+)"( append)?\n(.*?)```', re.DOTALL)
COMMANDS = re.compile(r"```sh run\n(.*?)```", re.DOTALL)
OURS = ("platform", "search_spaces", "jobs", "dashboards", "pyproject.toml", "README.md")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every example of the page in it, each touching the one file that it names."""
    folder = tmp_path_factory.mktemp("fresh")
    for name in OURS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    examples = FILE.findall(TEXT)
    assert len({name for name, _, _ in examples}) == len(examples) == 6
    for name, append, content in examples:
        file = folder / name
        assert file.exists() == bool(append), name
        with file.open("a", encoding="utf-8") as target:
            target.write(("\n\n" if append else "") + content)
    return folder


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "platform"), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


UNBLUR = "import sys; from unblur.cli import main; main()"


def test_the_examples_pass_the_checks(copy: Path) -> None:
    files = [name for name, append, _ in FILE.findall(TEXT) if name.endswith(".py") and not append]
    done = subprocess.run([sys.executable, "-m", "ruff", "check", *files], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_commands_of_the_page_choose_every_part(copy: Path) -> None:
    lines = [line for block in COMMANDS.findall(TEXT) for line in block.splitlines() if line]
    assert len(lines) == 3
    for line in lines:
        program, *arguments = line.split()
        assert program == "unblur"
        done = run(copy, UNBLUR, *arguments)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    told = json.loads((copy / "parts.json").read_text())
    chosen = told["best"]["params"]
    assert (chosen["denoiser"], chosen["film_reach"]) == ("film", 0.5)
    assert (chosen["encoder"], chosen["schedule"]) == ("random_projection", "sigmoid")
    assert "rbp_at_10" in told["test"]
    assert "co_counts" in (copy / "report.md").read_text()


def test_help_and_mistakes_name_the_new_parts(copy: Path) -> None:
    code = """
from unblur.denoisers import DENOISERS
from unblur.encoders import ENCODERS
from unblur.diffusion.schedules import SCHEDULES
from unblur.models import names
print(*DENOISERS.names(), *ENCODERS.names(), *SCHEDULES.names(), *names())
"""
    listed = run(copy, code).stdout.split()
    assert {"film", "random_projection", "sigmoid", "co_counts"} <= set(listed)
    assert "co_counts" in run(copy, UNBLUR, "tune", "--help").stdout
    wrong = run(copy, UNBLUR, "train", "--dataset", "sample", "--model", "co_count")
    assert wrong.returncode == 2 and "Did you mean 'co_counts'" in wrong.stderr
