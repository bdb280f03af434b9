"""jobs/evaluate.py: a saved model meets its own data, in whatever order and file, and no others."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from unblur import models
from unblur.data import openings
from unblur.data.prepare import prepare
from unblur.data.request import DataRequest
from unblur.data.store import load_dataset
from unblur.errors import UserError
from unblur.experiments.evaluate import evaluate
from unblur.experiments.options import EvaluateOptions
from unblur.models import trained_on

ROWS = [f"u{user},i{(3 * user + 7 * step) % 23},{step}" for user in range(60) for step in range(12)]


def written(folder: Path, name: str, rows: list[str]) -> str:
    (folder / name).write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return str(folder / name)


def test_the_same_rows_in_another_file_are_its_own_data_and_another_division_is_not(tmp_path: Path) -> None:
    storage, console = tmp_path / "runs", Console(quiet=True)
    files = [written(tmp_path, "one.csv", ROWS), written(tmp_path, "two.csv", ROWS[::-1])]
    prepared = prepare(DataRequest(dataset=files[0]), None, storage)
    dataset = load_dataset(prepared.folder)
    model = models.model_class("popularity")(models.configure("popularity", {}, "a test"), 60, 23)
    model.fit(dataset)
    trained_on.save(model, tmp_path / "model", dataset)

    def tested(file: str, **request: str) -> dict[str, float]:
        data, summary = DataRequest(dataset=file, **request), tmp_path / "s.json"
        options = EvaluateOptions(data=data, model=str(tmp_path / "model"), storage=str(storage), summary=summary)
        evaluate(options, console)
        return json.loads(summary.read_text())["test"]  # type: ignore[no-any-return]

    assert tested(files[0]) == tested(files[1])
    with pytest.raises(
        UserError, match=rf"trained on .* digest {prepared.digest[:12]}, and these have [0-9a-f]{{12}}:"
    ):
        tested(files[0], ratios="80/20")
    assert sum(openings.reasons(prepared.folder).values()) == 2
