"""Losses against the item table: closed forms, and what their negatives are."""

import pytest
import torch
from torch.nn import functional as F

from unblur.nn import full_softmax, item_losses
from unblur.nn.item_losses import Settings

N, D, ITEMS = 50, 6, 30


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(N, D, requires_grad=True), torch.randn(ITEMS, D, requires_grad=True), torch.randint(ITEMS, (N,))


@pytest.mark.parametrize("block_bytes", [1, 4 * ITEMS * 7, 8 * 2**20])
def test_full_softmax_is_torchs_cross_entropy(inputs: tuple, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_softmax, "BLOCK_BYTES", block_bytes)
    hidden, table, targets = inputs
    ours, theirs = full_softmax.cross_entropy(*inputs), F.cross_entropy(hidden @ table.T, targets, reduction="none")
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(losses.sum() * 0.3, (hidden, table)) for losses in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_full_softmax_may_be_weighed_loss_by_loss(inputs: tuple) -> None:
    hidden, table, targets = inputs
    ours, theirs = full_softmax.cross_entropy(*inputs), F.cross_entropy(hidden @ table.T, targets, reduction="none")
    gradients = [torch.autograd.grad((losses * torch.arange(N)).sum(), (hidden, table)) for losses in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_bce_with_all_negatives_is_its_definition() -> None:
    """Of two items the negative is the other one."""
    torch.manual_seed(0)
    hidden, table, targets = torch.randn(N, D), torch.randn(2, D), torch.randint(2, (N,))
    logits = hidden @ table.T
    expected = F.binary_cross_entropy_with_logits(logits, F.one_hot(targets).float(), reduction="none").sum(1)
    torch.testing.assert_close(item_losses.bce(hidden, table, targets, Settings(1)), expected)


def test_gbce_lies_between_bce_and_a_calibrated_one(inputs: tuple) -> None:
    """t = 0 leaves the target's exponent at 1, t = 1 makes it k / (n_items - 1) (arXiv 2308.07192, section 5.3)."""
    hidden, table, targets = inputs
    k = 7
    right = F.softplus(-(hidden * table[targets]).sum(1))
    losses = []
    for loss, settings in (("bce", Settings(k)), ("gbce", Settings(k, 0.0)), ("gbce", Settings(k, 1.0))):
        torch.manual_seed(1)  # the same negatives
        losses.append(getattr(item_losses, loss)(*inputs, settings))
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[0] - losses[2], right * (1 - k / (ITEMS - 1)))


def test_negatives_are_all_items_but_the_target() -> None:
    """With items at 0 but the target, whose score is large, a target among the negatives would show."""
    table, targets = torch.eye(5) * 50, torch.arange(5)
    hidden = torch.eye(5)
    assert (item_losses.bce(hidden, table, targets, Settings(200)) < 200).all()
    counts = torch.zeros(5)
    torch.manual_seed(0)
    scores = torch.arange(1.0, 6.0)[:, None]  # softplus tells which item was drawn
    for _ in range(400):
        drawn = item_losses.bce(torch.ones(1, 1), scores, torch.tensor([2]), Settings(1)) - F.softplus(-scores[2])
        counts[(F.softplus(scores[:, 0]) - drawn).abs().argmin()] += 1
    assert counts[2] == 0 and (counts[[0, 1, 3, 4]] > 60).all()


def test_sampled_softmax_is_right_on_average(inputs: tuple) -> None:
    """The sum over the catalogue, which the negatives stand for, has no bias."""
    hidden, table, targets = (each.detach() for each in inputs)
    exact = full_softmax.cross_entropy(hidden, table, targets).exp().sub(1).log()  # of the others, over the target
    torch.manual_seed(0)
    drawn = [item_losses.sampled_softmax(hidden, table, targets, Settings(200)).exp() - 1 for _ in range(400)]
    average = torch.stack(drawn).mean(0) * ITEMS / (ITEMS - 1)  # where the target is drawn, nothing counts
    torch.testing.assert_close(average.log(), exact, rtol=0, atol=0.05)
