"""What a training leaves: its outcome with the whole sweep over inference, each setting scored as often as needed."""

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.synthetic import communities

from unblur.models import model_class
from unblur.training.loop import TrainingSchedule
from unblur.training.task import Task

DATA = communities()
SCALES = (0.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("model", "params", "scorings"),
    # the one evaluation of a closed form is its sweep; a network is evaluated by itself before
    [("gaussian_cfg", {}, 3), ("cfg_diffrec", {"dims": (8,), "T": 2}, 3 + 2 + 3)],
)
def test_a_kept_model_tells_its_whole_sweep(
    model: str, params: dict[str, Any], scorings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = tuple({"guidance_scale": scale} for scale in SCALES)
    asked: list[int] = []
    kind = model_class(model)
    score = kind.score

    def counted(self: Any, history: Any, users: Any) -> Any:
        asked.append(len(users))
        return score(self, history, users)

    monkeypatch.setattr(kind, "score", counted)
    schedule = TrainingSchedule(epochs=1, eval_every=1)
    task = Task(model=model, params=params, seed=0, schedule=schedule, folder=str(tmp_path), keep=True, grid=grid)
    told = task.run(DATA, lambda _: None)
    kept = task.outcome
    assert kept is not None and kept["sweep"] == told.sweep
    assert [row["guidance_scale"] for row in told.sweep] == list(SCALES)
    best = max(told.sweep, key=lambda row: row["ndcg_at_10"])
    assert best == {**told.inference, **told.metrics} and len(asked) == scorings
