"""What must be the same on a GPU."""

import pytest
import torch
from tests.helpers.synthetic import communities

from unblur import models
from unblur.evaluation.ranking import validate
from unblur.nn.sparse import dropped
from unblur.training.loop import TrainingSchedule, fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU (CUDA)")

SPLIT = communities()


@pytest.mark.parametrize("name", ["diffrec", "cfg_diffrec"])
def test_a_model_trained_on_a_gpu_ranks_the_same_on_the_cpu(name: str) -> None:
    config = models.configure(name, {"dims": [16], "batch_size": 32, "lr": 0.01}, "test")
    model = models.model_class(name)(config, SPLIT.n_users, SPLIT.n_items, seed=3)
    assert isinstance(model, torch.nn.Module)
    outcome = fit(model.to("cuda"), SPLIT, TrainingSchedule(epochs=20), lambda _: None)
    assert outcome.value > 0.2
    assert validate(model.to("cpu"), SPLIT).metrics()["ndcg_at_10"] == pytest.approx(outcome.value, abs=0.01)


def test_dropout_on_a_gpu_drops_its_share() -> None:
    kept = dropped(torch.ones(400, 500, device="cuda"), 0.3)
    assert abs((kept == 0).float().mean().item() - 0.3) < 0.01 and abs(kept.mean().item() - 1) < 0.02
