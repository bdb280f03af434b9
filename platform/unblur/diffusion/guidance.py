"""Classifier-free guidance: one formula, one convention, and the dropout that makes it possible."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from unblur.diffusion.rows import with_values

Condition = TypeVar("Condition")


def guide(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """unconditional + scale (conditional - unconditional): 1 is plain conditional, 0 unconditional.

    Ho & Salimans 2022 (eq. 6) write w = scale - 1.
    """
    return unconditional + scale * (conditional - unconditional)


def guided(predict: Callable[[Condition | None], Tensor], condition: Condition | None, scale: float) -> Tensor:
    """`predict` under guidance; passes that the scale makes needless are not run, so that scale 1 is exact.

    `predict(condition)` may return any quantity in which the network's output is linear: the output itself, or the
    hidden vector before a linear last layer.
    """
    if condition is None or scale == 0:
        return predict(None)
    if scale == 1:
        return predict(condition)
    return guide(predict(None), predict(condition), scale)


def drop_rows(condition: Tensor, probability: float) -> Tensor:
    """A sparse CSR condition (B, n) with whole rows set to the null condition (zero), each with `probability`."""
    if probability == 0:
        return condition
    kept = torch.rand(condition.shape[0], device=condition.device) >= probability
    lengths = condition.crow_indices().diff()
    return with_values(condition, condition.values() * torch.repeat_interleave(kept, lengths))


def drop_items(condition: Tensor, probability: float) -> Tensor:
    """A sparse CSR condition (B, n) with single items removed: what is left must suffice to generate the rest."""
    if probability == 0:
        return condition
    values = condition.values()
    return with_values(condition, values * (torch.rand_like(values) >= probability))
