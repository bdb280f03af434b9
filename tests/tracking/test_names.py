"""Every name in MLflow stands in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers import ROOT

from unblur.tracking import names
from unblur.training.record import State
from unblur.training.report import Progress

PACKAGE = ROOT / "platform" / "unblur"
TAGS = {value for value in vars(names).values() if isinstance(value, str) and value.startswith("unblur.")}
NAMED = re.compile("(" + "|".join(map(re.escape, sorted(TAGS))) + r")\b")
PREFIXES = ("valid/", "test/", "train/", "model/", "inference/")
FILES = sorted(PACKAGE.rglob("*.py"))


def texts(file: Path) -> Iterator[str]:
    """The string constants of a file, pieces of f-strings included, docstrings left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    told = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in told:
            yield each.value


def is_module(text: str) -> bool:
    place = PACKAGE.joinpath(*text.partition(":")[0].split(".")[1:2])
    return place.is_dir() or place.with_suffix(".py").exists()


def test_no_other_file_names_a_tag_or_a_metric() -> None:
    assert len(TAGS) > 20 and "unblur.kind" in set(texts(PACKAGE / "tracking" / "names.py"))
    found = {
        (file.relative_to(PACKAGE).as_posix(), text)
        for file in FILES
        if file.name != "names.py" and "recbole" not in file.name  # its own file names begin so
        for text in texts(file)
        if NAMED.search(text)
        or (text.startswith("unblur.") and not is_module(text))
        or (text.startswith(PREFIXES) and " " not in text and "training" not in file.parts)  # of tensors there
    }
    assert found == set()


def test_numbers_of_a_report_under_their_names() -> None:
    inference = {"guidance_scale": 2, "sampler": "ddim"}
    progress = Progress(5, {"ndcg_at_10": 0.1}, 0.2, inference, {"loss": 1.0, "parameters": 7.0})
    assert names.of_progress(progress, "ndcg_at_10") == {
        "valid/ndcg_at_10": 0.1,
        "valid/best_ndcg_at_10": 0.2,
        "inference/guidance_scale": 2.0,
        "train/loss": 1.0,
        "model/parameters": 7.0,
    }


@pytest.mark.parametrize(("configuration", "seed"), [(0, 0), (0, 99), (7, 3), (1234, 0)])
def test_a_final_run_knows_its_configuration_and_seed(configuration: int, seed: int) -> None:
    tags = names.final_tags(names.final_number(configuration, seed))
    assert tags == {"unblur.configuration": configuration, "unblur.seed": seed}


def test_what_a_test_found_is_known_from_the_rest() -> None:
    metrics = {names.test("ndcg_at_10"): 0.1, names.valid("ndcg_at_10"): 0.2, names.FACTS["loss"]: 0.3}
    assert names.tested(metrics) == {"ndcg_at_10": 0.1}


@pytest.mark.parametrize("state", State)
def test_a_state_is_known_again_by_its_tag(state: State) -> None:
    assert names.state(names.STATUS[state], {names.STATE: str(state)}) is state


def test_what_was_killed_before_there_was_a_tag_was_pruned() -> None:
    assert names.state("KILLED", {}) is State.PRUNED and names.state("FINISHED", {}) is State.COMPLETE
