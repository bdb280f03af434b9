"""The process environment is written in one module and restored; importing changes nothing; signals have one home."""

import ast
import os
import re
import subprocess
import sys

import pytest
from tests.helpers import ROOT

from unblur import environment

FILES = sorted((ROOT / "platform" / "unblur").rglob("*.py"))


def test_variables_are_set_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNBLUR_A", "mine")
    monkeypatch.setenv("UNBLUR_B", "mine")
    before = dict(os.environ)
    with pytest.raises(ValueError, match="as it ends"), environment.restored():
        with environment.variables({"UNBLUR_A": "1", "UNBLUR_C": "1"}, {"UNBLUR_B": "2", "UNBLUR_D": "2"}):
            seen = {name: os.environ[name] for name in ("UNBLUR_A", "UNBLUR_B", "UNBLUR_C", "UNBLUR_D")}
            assert seen == {"UNBLUR_A": "1", "UNBLUR_B": "mine", "UNBLUR_C": "1", "UNBLUR_D": "2"}
        assert dict(os.environ) == before
        environment.keep({"UNBLUR_A": "3", "UNBLUR_E": "3"})
        del os.environ["UNBLUR_B"]
        raise ValueError("as it ends")
    assert dict(os.environ) == before


def writes_environment(tree: ast.AST) -> bool:
    """Whether code assigns to os.environ, or calls a method of it that changes it."""
    text = ast.unparse(tree)
    assigned = r"os\.environ(\[[^\]]*\])? *(\|?=)(?!=)|del os\.environ"
    return bool(re.search(assigned + r"|os\.environ\.(update|setdefault|pop|clear)|os\.(putenv|unsetenv)\(", text))


def test_one_module_writes_the_environment_and_one_sets_handlers() -> None:
    trees = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in FILES if file.stem != "recbole_peer"}
    assert [name for name, tree in trees.items() if writes_environment(tree)] == ["environment"]
    assert [name for name, tree in trees.items() if "signal.signal(" in ast.unparse(tree)] == ["signals"]


def test_importing_and_building_change_nothing_of_the_process() -> None:
    code = """
import os, warnings
before, filters = dict(os.environ), list(warnings.filters)
import unblur.nn.sparse, unblur.models, unblur.tracking.client, unblur.experiments.options, unblur.training.loop
import unblur.data.dataset
assert dict(os.environ) == before, set(os.environ) ^ set(before)
import numpy as np, torch
from scipy.sparse import csr_matrix
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    unblur.nn.sparse.from_scipy(csr_matrix(np.eye(3)), torch.device("cpu"))
assert not told, told
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
