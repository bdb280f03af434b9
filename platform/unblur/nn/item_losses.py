"""Losses of vectors against the item that each should rank first, by name.

Each takes hidden (n, d), the item table (n_items, d), targets (n,) and what it is set to, and gives losses (n,).
Negatives are uniform over the items that are not the target. The choice moves a sequence model more than its network
does (Klenitskiy and Vasilev 2023, arXiv 2309.07602; Petrov and Macdonald 2023, arXiv 2308.07192).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.nn import full_softmax


@dataclass(frozen=True)
class Settings:
    """What losses that draw negatives are set to."""

    negatives: int = 1
    """How many of each target, or for `sampled_softmax` of each batch."""
    calibration: float = 0.75
    """t of gBCE."""


F_ = TypeVar("F_", bound=Callable[..., Tensor])


def _keeps(of_each: int) -> Callable[[F_], F_]:
    """Mark a loss of which so many numbers are kept of each target and negative, where these have no vectors."""

    def mark(function: F_) -> F_:
        function.KEPT = of_each  # type: ignore[attr-defined]
        return function

    return mark


@_keeps(0)
def cross_entropy(hidden: Tensor, table: Tensor, targets: Tensor, settings: Settings) -> Tensor:
    """-log softmax over all items."""
    return full_softmax.cross_entropy(hidden, table, targets)


@_keeps(6)
def sampled_softmax(hidden: Tensor, table: Tensor, targets: Tensor, settings: Settings) -> Tensor:
    """-log softmax over the target and negatives that the whole batch shares, which stand for all other items.

    Each negative counts (n_items - 1) / k times, so that the sum over them is right on average (Jean et al. 2015, eq.
    8 with uniform proposals); where one of them is the target itself it does not count.
    """
    n_items = len(table)
    drawn = torch.randint(n_items, (settings.negatives,), device=hidden.device)
    logits = hidden @ table[drawn].T + math.log((n_items - 1) / settings.negatives)  # (n, k)
    others = logits.masked_fill(drawn == targets[:, None], -torch.inf)
    right = _inner(hidden, table, targets)
    return torch.cat([right[:, None], others], dim=1).logsumexp(1) - right


def bce(hidden: Tensor, table: Tensor, targets: Tensor, settings: Settings) -> Tensor:
    """-log sigmoid(target) - sum of log(1 - sigmoid(negative)): SASRec's own with one negative (Kang and McAuley 2018,
    eq. 9)."""
    right, wrong = _with_negatives(hidden, table, targets, settings.negatives)
    return F.softplus(-right) + F.softplus(wrong).sum(1)


def gbce(hidden: Tensor, table: Tensor, targets: Tensor, settings: Settings) -> Tensor:
    """BCE with the target's sigmoid to the power beta, which takes the overconfidence out of few negatives.

    beta = alpha (t (1 - 1 / alpha) + 1 / alpha), alpha = k / (n_items - 1) (Petrov and Macdonald 2023, eq. 16).
    """
    alpha = settings.negatives / (len(table) - 1)
    beta = alpha * (settings.calibration * (1 - 1 / alpha) + 1 / alpha)
    right, wrong = _with_negatives(hidden, table, targets, settings.negatives)
    return beta * F.softplus(-right) + F.softplus(wrong).sum(1)


def _with_negatives(hidden: Tensor, table: Tensor, targets: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores of the targets (n,) and of k negatives of each (n, k)."""
    drawn = torch.randint(len(table) - 1, (len(targets), k), device=hidden.device)
    drawn += drawn >= targets[:, None]  # uniform over all items but the target
    wrong = torch.bmm(F.embedding(drawn, table), hidden.unsqueeze(-1)).squeeze(-1)
    return _inner(hidden, table, targets), wrong


def _inner(hidden: Tensor, table: Tensor, items: Tensor) -> Tensor:
    return (hidden * F.embedding(items, table)).sum(-1)
