"""Promises of a model that reads sequences: `breaks[promise](model, dataset)` says whether it breaks one.

`of_diffusion` are those that only a diffusion model can break. `Broken` is SASRec, `BrokenDiffusion` is DreamRec, with
one mistake of each kind, as they were found in published code.
"""

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.diffusion.condition import Condition, OrderedItems
from unblur.diffusion.denoiser import Denoiser
from unblur.evaluation.ranking import Evaluation, evaluating
from unblur.models.base import TrainableRecommender
from unblur.models.diffusion import dreamrec
from unblur.models.diffusion._examples import Examples
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.models.sequential import bert4rec, sasrec
from unblur.models.sequential._next_item import NextItem
from unblur.models.sequential._sequence_model import SequenceModel, Window

Model = TrainableRecommender[Any]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
HISTORY, TARGET = [0, 1, 2], 9
"""What one example is made of; the target is in no history."""


@singledispatch
def known(model: Model, items: Tensor) -> Tensor:
    """What the model makes of histories (b, L), padded on the left: at the newest place (b, d)."""
    raise NotImplementedError


@known.register
def _(model: SequenceModel, items: Tensor) -> Tensor:
    return model.known(items)


@known.register
def _(model: DiffusionRecommender, items: Tensor) -> Tensor:
    return denoised(model, items)


def denoised(model: DiffusionRecommender, items: Tensor, noise: float = 1.0) -> Tensor:
    """What the network makes of one x_t, given histories (b, L): (b, d)."""
    x_t = noise * torch.randn(1, model.space.dim, generator=torch.Generator().manual_seed(0))
    c = model.network.encode(OrderedItems(items, model.n_items))
    out: Tensor = model.network(x_t.expand(len(items), -1), torch.ones(len(items), dtype=torch.int64), c)
    return out


@singledispatch
def example(model: Model) -> Any:
    """A batch of HISTORY and TARGET."""
    raise NotImplementedError


@example.register
def _(model: NextItem) -> Any:
    return [Window(torch.tensor([HISTORY]), torch.tensor([[*HISTORY[1:], TARGET]]))]


@example.register
def _(model: bert4rec.Model) -> Any:
    nothing = [model.n_items] * len(HISTORY)
    return [Window(torch.tensor([[*HISTORY, model.masked]]), torch.tensor([[*nothing, TARGET]]))]


@example.register
def _(model: DiffusionRecommender) -> Any:
    """Twelve times, so that some are told nothing."""
    targets = F.one_hot(torch.full((12,), TARGET), model.n_items).float().to_sparse_csr()
    return Examples(targets, OrderedItems(torch.tensor([HISTORY] * 12), model.n_items))


@singledispatch
def table(model: Model) -> nn.Parameter:
    """The embeddings that score items (n_items, d)."""
    raise NotImplementedError


@table.register
def _(model: SequenceModel) -> nn.Parameter:
    return model.items


@table.register
def _(model: DiffusionRecommender) -> nn.Parameter:
    return model.space.items


def _scores(model: Model, history: History, users: np.ndarray | None = None) -> Tensor:
    with evaluating(model):
        return model.score(history, np.arange(history.matrix.shape[0]) if users is None else users)


def batch_mates(model: Model, dataset: Dataset) -> bool:
    """Scores depend on who else is scored."""
    history, users = dataset.history(), np.arange(20)
    alone = torch.cat([_scores(model, history.rows(users[i : i + 1]), users[i : i + 1]) for i in users])
    return not _scores(model, history.rows(users)).allclose(alone, **CLOSE)


def padding(model: Model, dataset: Dataset) -> bool:
    """What is known of a history depends on how much padding there is before it."""
    items = torch.tensor([[3, 1, 2], [dataset.n_items, 5, 4]])
    with torch.no_grad():
        short, long = known(model, items), known(model, F.pad(items, (4, 0), value=dataset.n_items))
    return not short.allclose(long, **CLOSE)


def order(model: Model, dataset: Dataset) -> bool:
    """Two early items can be exchanged."""
    with torch.no_grad():
        ahead, swapped = (known(model, torch.tensor([row])) for row in ([1, 2, 3, 4], [2, 1, 3, 4]))
    return ahead.allclose(swapped, **CLOSE)


def repeated(model: Model, dataset: Dataset) -> bool:
    """Two evaluations differ."""
    model.train()  # as the training loop leaves it
    first, second = (_scores(model, dataset.history()) for _ in range(2))
    model.eval()
    return not first.equal(second)


def gradients(model: Model, dataset: Dataset) -> bool:
    """A parameter gets no gradient, or a target that is in no history does not move."""
    model.zero_grad()
    torch.manual_seed(0)
    model(example(model)).sum().backward()
    reached = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()]
    of_items = table(model).grad
    return not all(reached) or of_items is None or not bool(of_items[TARGET].abs().sum() > 0)


def leaves_users_out(evaluation: Evaluation, dataset: Dataset) -> bool:
    """Metrics are not of all users who have something held out, each counted once (PreferGrow, DreamRec)."""
    return evaluation.users.tolist() != np.flatnonzero(np.diff(dataset.valid.indptr)).tolist()


def x_t(model: DiffusionRecommender, dataset: Dataset) -> bool:
    """The network does not look at what it is to denoise (CDDRec)."""
    with torch.no_grad():
        noised, clean = (denoised(model, torch.tensor([HISTORY]), noise) for noise in (1.0, 0.0))
    return noised.allclose(clean, **CLOSE)


def scale_one(model: DiffusionRecommender, dataset: Dataset) -> bool:
    """A guidance scale of 1 is not the conditional pass to the bit."""
    settings = model.config.guidance_scale
    model.infer_with({"guidance_scale": 1.0})
    before, encode = _scores(model, dataset.history()), model.network.encode

    def only_conditional(condition: Condition) -> Any:
        c = encode(condition)
        return torch.full_like(c, 1e3) if condition.empty.all() else c

    object.__setattr__(model.network, "encode", only_conditional)  # the weak pass would show
    model.train()
    after = _scores(model, dataset.history())
    object.__delattr__(model.network, "encode")
    model.eval().infer_with({"guidance_scale": settings})
    return not before.equal(after)


breaks: dict[str, Callable[[Model, Dataset], bool]] = {
    each.__name__: each for each in (batch_mates, padding, order, repeated, gradients)
}
of_diffusion: dict[str, Callable[[DiffusionRecommender, Dataset], bool]] = {
    **breaks,
    **{each.__name__: each for each in (x_t, scale_one)},
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


class BrokenDiffusion(dreamrec.Model):
    """DreamRec that breaks one of the promises."""

    def __init__(self, *args: Any, breaks: str) -> None:
        super().__init__(*args)
        self.network = _Mistaken(self.network, breaks)


class _Mistaken(Denoiser):
    """A network with a mistake around it; no longer linear, so that it runs step by step."""

    def __init__(self, inner: Denoiser, mistake: str) -> None:
        super().__init__()
        self.inner, self.mistake = inner, mistake
        if mistake == "order":
            inner.encoder.encoder.blocks.positions.weight.data.zero_()

    def encode(self, condition: Condition) -> Any:
        self.nobody, c = condition.nobody(), self.inner.encode(condition)
        if self.mistake == "batch_mates":
            c = c - c.mean(0)
        if self.mistake == "padding":
            c = c * condition.tensor.shape[1]
        if self.mistake == "gradients":
            c = c.detach()
        return c

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        if self.mistake == "scale_one":
            c = c + 1e-3 * self.encode(self.nobody)
        out: Tensor = self.inner(torch.zeros_like(x_t) if self.mistake == "x_t" else x_t, t, c)
        return F.dropout(out, 0.5, training=True) if self.mistake == "repeated" else out
