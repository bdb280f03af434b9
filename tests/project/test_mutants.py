"""The bugs that `make mutants` plants: it refuses one that does not belong to the present code."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.helpers import ROOT
from tests.helpers.programs import loaded

mutants: Any = loaded(ROOT / "tests/mutants/run.py")
FILES = sorted((ROOT / "tests" / "mutants").glob("*.yaml"))


def test_there_is_a_table_for_each_area_that_must_not_lie() -> None:
    areas = Counter(each.area for file in FILES for each in mutants.read(file))
    assert {"diffusion", "evaluation", "search", "training", "data"} <= areas.keys() and areas.total() >= 100
    assert len({(m.file, m.text, m.instead) for file in FILES for m in mutants.read(file)}) == areas.total()


def test_every_bug_belongs_to_the_present_code() -> None:
    assert [fault for file in FILES for each in mutants.read(file) for fault in mutants.stale(each)] == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"text": "no such text"}, "occurs 0 times"),
        ({"instead": "return weak + scale * (strong - weak)"}, "it changes nothing"),
        ({"instead": "return ("}, "with it the file is no Python"),
        ({"tests": ("tests/nowhere.py",)}, "tests/nowhere.py is not there"),
    ],
)
def test_one_that_cannot_is_named(changes: dict[str, Any], says: str) -> None:
    text, tests = "return weak + scale * (strong - weak)", ("tests/project/test_mutants.py",)
    known = mutants.Mutant("diffusion", "a bug", Path("diffusion/guidance/__init__.py"), text, "return weak", tests)
    assert not list(mutants.stale(known))
    assert [says in fault for fault in mutants.stale(replace(known, **changes))] == [True]
