"""Guidance: one formula, one convention, and the dropout that makes it possible. One file per rule of the weak pass."""

from collections.abc import Callable

import torch
from torch import Tensor

from unblur.nn.sparse import with_values
from unblur.registry import modules

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


def drop_rows(condition: Tensor, probability: float) -> Tensor:
    """A sparse CSR condition (B, n) with whole rows set to the null condition (zero), each with `probability`."""
    if probability == 0:
        return condition
    kept = torch.rand(condition.shape[0], device=condition.device) >= probability
    lengths = condition.crow_indices().diff()
    return with_values(condition, condition.values() * torch.repeat_interleave(kept, lengths))


def need_unconditional_pass(p_uncond: float, scale: float) -> None:
    """ValueError for a scale that asks for the unconditional pass where training never shows it."""
    if p_uncond == 0 and scale != 1:
        raise ValueError(
            f"p_uncond = 0 never trains the unconditional pass, so only guidance_scale = 1 has a meaning, not {scale:g}"
        )
