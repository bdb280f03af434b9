"""The plain implementation is the same model as ours, or beating it would mean nothing."""

from types import ModuleType

import pytest
import torch
from tests.helpers.synthetic import communities

from unblur.benchmarking.implementations import Ours, Textbook
from unblur.benchmarking.options import TEXTBOOK
from unblur.diffusion.condition import WeightedRows
from unblur.errors import UserError
from unblur.models.diffusion._recommender import Examples

SPLIT = communities(n_users=90)
HIDDEN, BATCH = 16, 40


def pair(steps: int) -> tuple[Ours, Textbook]:
    """Both with the same weights, those of a short training."""
    ours, textbook = Ours(SPLIT, HIDDEN, BATCH), Textbook(SPLIT, HIDDEN, BATCH, TEXTBOOK)
    ours.load(ours.weights(), steps)
    for _ in range(3):
        ours.train_epoch()
    for each in (ours, textbook):
        each.load(ours.weights(), steps)
    return ours, textbook


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_same_weights_same_scores_and_metrics(steps: int) -> None:
    ours, textbook = pair(steps)
    ours.model.eval()
    scores = ours.model.score(SPLIT.history(), torch.arange(SPLIT.n_users).numpy())
    theirs = textbook.model.scores(torch.from_numpy(SPLIT.train.toarray()))
    torch.testing.assert_close(scores, theirs, rtol=1e-4, atol=1e-5)
    expected, found = textbook.evaluate()[1], ours.evaluate()[1]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_same_example_step_and_noise_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, textbook = pair(5)
    x_0, t = torch.from_numpy(SPLIT.train[:BATCH].toarray()), torch.arange(BATCH) % 5
    noise = torch.randn(BATCH, SPLIT.n_items)
    model = ours.model.eval()  # no dropout
    textbook.model.network.eval()
    monkeypatch.setattr(torch, "randn_like", lambda x: noise.clone())
    monkeypatch.setattr(model.steps, "draw", lambda size: (t, torch.ones(size)))
    monkeypatch.setattr(textbook.model, "sample_steps", lambda size: (t, torch.full((size,), 1 / 5)))
    rows = x_0.to_sparse_csr()
    losses = model(Examples(rows, WeightedRows(rows)))
    torch.testing.assert_close(losses.mean().double(), textbook.model.loss(x_0), rtol=1e-5, atol=1e-7)
    kept, counts = model.steps.losses, model.steps.counts
    torch.testing.assert_close(kept[:, :8].double(), textbook.model.loss_history[:, :8], rtol=1e-5, atol=1e-7)
    assert counts.tolist() == textbook.model.loss_count.tolist() == [8] * 5


def test_it_learns() -> None:
    textbook = Textbook(SPLIT, HIDDEN, BATCH, TEXTBOOK)
    textbook.load(Ours(SPLIT, HIDDEN, BATCH).weights(), 5)
    textbook.model.optimizer.param_groups[0]["lr"] = 0.01
    before = textbook.evaluate()[1]["recall_at_5"]
    for _ in range(40):
        textbook.train_epoch()
    assert textbook.evaluate()[1]["recall_at_5"] > 2 * before


def test_a_missing_file_is_named(tmp_path: object) -> None:
    with pytest.raises(UserError, match=r"--textbook .*nowhere.py"):
        Textbook(SPLIT, HIDDEN, BATCH, TEXTBOOK.with_name("nowhere.py"))


def test_the_textbook_knows_nothing_of_the_project() -> None:
    module = Textbook(SPLIT, HIDDEN, BATCH, TEXTBOOK).module
    imported = {name for name, value in vars(module).items() if isinstance(value, ModuleType)}
    assert imported == {"math", "np", "torch", "nn"} and "unblur" not in TEXTBOOK.read_text()
