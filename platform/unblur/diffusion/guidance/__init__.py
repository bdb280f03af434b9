"""Guidance: one formula, one convention, and the dropout that makes it possible. One file per rule of the weak pass."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from unblur.diffusion.condition import Condition
from unblur.registry import modules

C = TypeVar("C", bound=Condition)

GUIDANCE = modules("guidance", __name__)


def guide(weak: Tensor, strong: Tensor, scale: float) -> Tensor:
    """weak + scale (strong - weak): 1 is the strong pass alone, 0 the weak one.

    Classifier-free guidance (Ho & Salimans 2022, eq. 6, who write w = scale - 1): weak is the unconditional pass,
    strong the conditional one. Autoguidance (Karras et al. 2024): weak is a worse version of the same model.
    """
    return weak + scale * (strong - weak)


def guided(weak: Callable[[], Tensor], strong: Callable[[], Tensor], scale: float) -> Tensor:
    """`guide`; a pass that the scale makes needless is not run, so that scale 1 is exactly the strong pass.

    The passes may return any quantity in which the network's output is linear: the output itself, or the hidden
    vector before a linear last layer.
    """
    if scale == 1:
        return strong()
    if scale == 0:
        return weak()
    return guide(weak(), strong(), scale)


def drop_histories(condition: C, probability: float) -> C:
    """The condition with whole histories set to the null condition (empty), each with `probability`."""
    if probability == 0:
        return condition
    return condition.keep(torch.rand(condition.empty.shape, device=condition.empty.device) >= probability)


def need_unconditional_pass(p_uncond: float, scale: float) -> None:
    """ValueError for a scale that asks for the unconditional pass where training never shows it."""
    if p_uncond == 0 and scale != 1:
        raise ValueError(
            f"p_uncond = 0 never trains the unconditional pass, so only guidance_scale = 1 has a meaning, not {scale:g}"
        )
