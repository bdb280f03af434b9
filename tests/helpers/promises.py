"""Promises of a model that reads sequences: `breaks[promise](model, dataset)` says whether it breaks one.

`Broken` is SASRec with one mistake of each kind, as they were found in published code.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.evaluation.ranking import Evaluation, evaluating
from unblur.models.sequential import sasrec
from unblur.models.sequential._next_item import NextItem, Window

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def _scores(model: NextItem, history: History) -> Tensor:
    with evaluating(model):
        return model.score(history, np.arange(history.matrix.shape[0]))


def batch_mates(model: NextItem, dataset: Dataset) -> bool:
    """Scores depend on who else is scored."""
    history, users = dataset.history(), np.arange(20)
    alone = torch.cat([_scores(model, history.rows(users[i : i + 1])) for i in users])
    return not _scores(model, history.rows(users)).allclose(alone, **CLOSE)


def padding(model: NextItem, dataset: Dataset) -> bool:
    """What is known at a place depends on how much padding there is before it."""
    items = torch.tensor([[3, 1, 2], [dataset.n_items, 5, 4]])
    wider = F.pad(items, (4, 0), value=dataset.n_items)
    with torch.no_grad():
        short, long = model.encode(items), model.encode(wider)[:, 4:]
    return not short[items < dataset.n_items].allclose(long[items < dataset.n_items], **CLOSE)


def order(model: NextItem, dataset: Dataset) -> bool:
    """Two early items can be exchanged."""
    with torch.no_grad():
        ahead, swapped = (model.encode(torch.tensor([row]))[:, -1] for row in ([1, 2, 3, 4], [2, 1, 3, 4]))
    return ahead.allclose(swapped, **CLOSE)


def repeated(model: NextItem, dataset: Dataset) -> bool:
    """Two evaluations differ."""
    model.train()  # as the training loop leaves it
    first, second = (_scores(model, dataset.history()) for _ in range(2))
    model.eval()
    return not first.equal(second)


def gradients(model: NextItem, dataset: Dataset) -> bool:
    """A parameter gets no gradient, or a target that is in no history does not move."""
    window = Window(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 2, 9]]))
    model.zero_grad()
    model([window]).sum().backward()
    reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()]
    return not all(reached) or model.items.grad is None or not bool(model.items.grad[9].abs().sum() > 0)


def leaves_users_out(evaluation: Evaluation, dataset: Dataset) -> bool:
    """Metrics are not of all users who have something held out, each counted once (PreferGrow, DreamRec)."""
    return evaluation.users.tolist() != np.flatnonzero(np.diff(dataset.valid.indptr)).tolist()


breaks: dict[str, Callable[[NextItem, Dataset], bool]] = {
    each.__name__: each for each in (batch_mates, padding, order, repeated, gradients)
}


class Broken(sasrec.Model):
    """SASRec that breaks one of the promises."""

    def __init__(self, *args: Any, breaks: str) -> None:
        super().__init__(*args)
        self.mistake = breaks

    def encode(self, items: Tensor) -> Tensor:
        if self.mistake == "order":  # no positions: one block then sees a set and the newest item
            self.encoder.positions.weight.data.zero_()
        hidden = super().encode(items)
        if self.mistake == "batch_mates":  # a statistic of the batch (CDDRec, DiQDiff)
            hidden = hidden - hidden.mean(0)
        if self.mistake == "padding":  # attended padding (DiffuRec) comes to this
            hidden = hidden * items.shape[1]
        if self.mistake == "repeated":  # dropout in evaluations (DreamRec)
            hidden = F.dropout(hidden, 0.5, training=True)
        return hidden

    def forward(self, examples: Sequence[Window]) -> Tensor:
        if self.mistake != "gradients":
            return super().forward(examples)
        (window,) = examples
        real = window.targets < self.n_items
        logits = self.encode(window.items)[real] @ self.items.detach().T  # no gradient there (PreferDiff's SASRec)
        return F.cross_entropy(logits, window.targets[real], reduction="none")
