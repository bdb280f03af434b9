"""The bugs that `make mutants` plants: each belongs to the present code, so that none is left out in silence."""

import importlib.util
import sys
from collections import Counter

import pytest
from tests.helpers import ROOT

SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "tests" / "mutants" / "run.py")
assert SPEC is not None and SPEC.loader is not None
mutants = importlib.util.module_from_spec(SPEC)
sys.modules["mutants"] = mutants  # dataclasses look their module up
SPEC.loader.exec_module(mutants)


def test_every_bug_can_be_planted_and_is_looked_for() -> None:
    found = mutants.load()
    assert len(found) >= 100 and all(each.tests for each in found)
    areas = Counter(each.area for each in found)
    assert {"diffusion", "evaluation", "search", "training", "data"} <= areas.keys()
    assert len({(each.file, each.text, each.instead) for each in found}) == len(found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"text": "no such text"}, "occurs 0 times"),
        ({"instead": "return weak + scale * (strong - weak)"}, "it changes nothing"),
        ({"instead": "return ("}, "with it the file is no Python"),
        ({"tests": ("tests/nowhere.py",)}, "tests/nowhere.py is not there"),
    ],
)
def test_one_that_cannot_is_named(changes: dict[str, object], says: str) -> None:
    (known,) = [each for each in mutants.load() if "guidance goes the wrong way" in each.bug]
    broken = mutants.Mutant(**{**vars(known), **changes})
    assert any(says in fault for fault in mutants.stale(broken))
