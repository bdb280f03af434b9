"""The bound on what trainings leave on the disk, held against real trainings."""

from pathlib import Path

import pytest
from tests.helpers.synthetic import communities

from unblur.running.cleanup import DeleteCheckpoints, delete_leftovers, folder_of, projected
from unblur.training import loop
from unblur.training.cost import estimate
from unblur.training.loop import TrainingSchedule
from unblur.training.record import State
from unblur.training.report import Progress
from unblur.training.task import Task

SPLIT = communities()
PARAMS = {"dims": [128], "batch_size": 32}
HEADERS = 1.1
"""Names and shapes beside the tensors, in so small a model."""


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def task(folder: Path, number: int) -> Task:
    return Task(
        model="cfg_diffrec",
        params=PARAMS,
        seed=number,
        schedule=TrainingSchedule(epochs=8, eval_every=1),
        folder=folder_of(str(folder), number),
        keep=True,
    )


def test_the_projection_is_an_upper_bound_and_no_wild_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    weights = estimate("cfg_diffrec", PARAMS, SPLIT).weights
    most = 0

    def report(progress: Progress) -> None:
        nonlocal most
        most = max(most, on_disk(tmp_path))

    for number in range(3):
        task(tmp_path, number).run(SPLIT, report)
    assert 0.4 * projected(weights, 1, 3) < most <= HEADERS * projected(weights, 1, 3)
    assert on_disk(tmp_path) <= HEADERS * 3 * weights, "what is left are the models"


def test_an_ended_trial_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "00003" / "checkpoints").mkdir(parents=True)
    DeleteCheckpoints(str(tmp_path)).ended(3, State.PRUNED, None)
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_driver_left_is_swept(tmp_path: Path) -> None:
    for name in ("00001", "00002", "00010", "notes"):
        (tmp_path / name).mkdir()
    delete_leftovers(str(tmp_path), {2}.__contains__)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00002", "notes"]
    delete_leftovers(str(tmp_path / "never"), {2}.__contains__)
