"""`params: best`: parts of a blend that are what the searches of the same data have found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from tests.helpers.in_place import engine
from tests.helpers.jobs import here, plays
from tests.helpers.mlflow_store import new_database

from unblur.errors import UserError
from unblur.models import configure

__all__ = ["plays"]
SASREC = {"lr": 0.01, "dim": 8, "max_length": 5, "batch_size": 64}


@pytest.fixture(scope="module")
def data_flags(plays: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The plays by a description, since an ablation has no flags for columns."""
    file = tmp_path_factory.mktemp("described") / "listens.yaml"
    columns = {"user": "listener", "item": "track", "time": "played_at"}
    file.write_text(yaml.safe_dump({"source": str(plays), "columns": columns}))
    return ["--dataset", str(file)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data_flags: list[str]) -> Iterator[Path]:
    """A folder with a finished search of SLIST and one of SASRec, and a space for their blend."""
    folder = tmp_path_factory.mktemp("winners")
    new_database(folder)
    space = {"model": "sasrec", "parameters": {}, "fixed": SASREC}
    (folder / "sasrec.yaml").write_text(yaml.safe_dump(space))
    space = {"model": "blend", "parameters": {}, "fixed": {"parts": [part("slist"), part("sasrec")]}}
    (folder / "blend.yaml").write_text(yaml.safe_dump(space))
    with engine():
        for flags in (
            ["--model", "slist", "--trials", 2],
            ["--model", "sasrec", "--trials", 1, "--epochs", 4, "--eval-every", 2, "--search-space", "sasrec.yaml"],
        ):
            done = here(folder, "tune", *data_flags, *flags, "--seeds", 1, "--summary", f"{flags[1]}.json")
            assert done.returncode == 0, done.stdout + done.stderr
        yield folder


def part(model: str) -> dict[str, Any]:
    return {"model": model, "params": "best"}


def summary(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def test_parts_are_what_their_own_searches_found_and_their_seeds_are_their_own(
    folder: Path, data_flags: list[str]
) -> None:
    flags = ["--model", "blend", "--search-space", "blend.yaml", "--trials", 1, "--seeds", 2, "--summary", "blend.json"]
    done = here(folder, "tune", *data_flags, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    slist, sasrec = summary(folder, "blend")["best"]["params"]["parts"]
    assert slist == {"model": "slist", "params": summary(folder, "slist")["best"]["params"]}
    assert sasrec["params"] == SASREC and sasrec["epochs"] in (2, 4)
    assert "slist, best: ndcg@10" in done.stdout
    first, second = summary(folder, "blend")["test"]["ndcg_at_10"]["values"]
    assert first != second, "the transformer of each seed is another one"


def test_the_spaces_that_come_with_the_package_are_found_from_anywhere(folder: Path, data_flags: list[str]) -> None:
    flags = ["--model", "blend", "--search-space", "search_spaces/order/blend.yaml", "--dry-run"]
    done = here(folder, "tune", *data_flags, *flags)
    assert done.returncode == 0 and "sasrec, best: ndcg@10" in done.stdout, done.stdout + done.stderr


def test_a_training_takes_them_too(folder: Path, data_flags: list[str]) -> None:
    parts = [part("slist"), {"model": "popularity"}]
    flags = ["--model", "blend", "--set", f"parts={json.dumps(parts)}", "--seeds", 1, "--dry-run"]
    done = here(folder, "train", *data_flags, *flags)
    assert done.returncode == 0 and "slist, best: ndcg@10" in done.stdout, done.stdout + done.stderr


def test_an_ablation_takes_them_too(folder: Path, data_flags: list[str]) -> None:
    both = [part("slist"), part("sasrec")]
    study = {
        "question": "What does the transformer add?",
        "dataset": data_flags[1],
        "model": "blend",
        "grid": {
            "parts": {"both": {"parts": both}, "with popularity": {"parts": [part("slist"), {"model": "popularity"}]}}
        },
        "inference": {"weights": [[1.0, 0.0], [0.5, 0.5]]},
        "x": "weights",
        "seeds": 1,
    }
    (folder / "parts.yaml").write_text(yaml.safe_dump(study))
    done = here(folder, "ablate", "--study", "parts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sasrec, best: ndcg@10" in done.stdout
    rows = pd.read_csv(folder / "parts.csv")
    assert len(rows) == 4 and set(rows["weights"]) == {"[1.0, 0.0]", "[0.5, 0.5]"}
    alone = rows[rows["weights"] == "[1.0, 0.0]"]["ndcg_at_10"]
    assert alone.nunique() == 1 and alone.iloc[0] == pytest.approx(summary(folder, "slist")["best"]["valid"])


@pytest.mark.parametrize(
    ("model", "flags"), [("ease", []), ("slist", ["--metric", "recall@20"]), ("slist", ["--validation", "gap"])]
)
def test_without_such_a_search_it_says_which_to_run(
    folder: Path, data_flags: list[str], model: str, flags: list[str]
) -> None:
    space = {"model": "blend", "parameters": {}, "fixed": {"parts": [part(model), part("slist")]}}
    (folder / "other.yaml").write_text(yaml.safe_dump(space))
    done = here(folder, "tune", *data_flags, "--model", "blend", "--search-space", "other.yaml", *flags)
    assert done.returncode == 2 and f"unblur tune --dataset {data_flags[1]} --model {model}" in done.stderr


def test_elsewhere_nobody_knows_the_best() -> None:
    blend = configure("blend", {"parts": [part("slist"), part("sasrec")]}, "test")
    with pytest.raises(UserError, match="params = best is for `unblur tune`, `train` and `ablate`"):
        blend.parts[0].config()
