"""Cross-entropy over a whole catalogue, in blocks that fit the processor's cache."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unblur.nn.onednn import linear

BLOCK_BYTES = 8 * 2**20
"""Of logits at a time."""


def cross_entropy(hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """-log softmax(hidden table^T)[target] (n,) from hidden (n, d), table (n_items, d) and targets (n,).

    The logits (n, n_items) are never there as a whole: each block gives its part of the gradients at once, as if the
    losses were summed up. Where they are weighed one by one, the backward pass goes through the blocks again.
    """
    losses: Tensor = _CrossEntropy.apply(hidden, table, targets)  # type: ignore[no-untyped-call]
    return losses


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        losses = hidden.new_empty(len(hidden))
        gradients = _gradients(hidden, table, targets, any(ctx.needs_input_grad), losses)
        ctx.save_for_backward(*gradients, hidden, table, targets)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        of_hidden, of_table, hidden, table, targets = ctx.saved_tensors
        if not (gradient == gradient[:1]).all():
            return *_gradients(hidden, table, targets, True, torch.empty_like(gradient), gradient), None
        scale = gradient[:1].sum()  # 0 where there are no losses
        return of_hidden * scale, of_table * scale, None


def _gradients(
    hidden: Tensor, table: Tensor, targets: Tensor, wanted: bool, losses: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The gradients of the losses' sum by hidden and table, if wanted; the losses are written into `losses` (n,)."""
    of_hidden, of_table = torch.empty_like(hidden), torch.zeros_like(table)
    for block in _blocks(hidden, table):
        logits = linear(hidden[block], table)
        log_sum = logits.logsumexp(1, keepdim=True)
        losses[block] = (log_sum - logits.gather(1, targets[block, None])).squeeze(1)
        if wanted:
            softmax = logits.sub_(log_sum).exp_()
            softmax = softmax if weights is None else softmax.mul_(weights[block, None])
            right = table[targets[block]]
            of_hidden[block] = softmax @ table - (right if weights is None else right * weights[block, None])
            of_table.addmm_(softmax.T, hidden[block])
    of_table.index_add_(0, targets, hidden if weights is None else hidden * weights[:, None], alpha=-1)
    return of_hidden, of_table


def _blocks(hidden: Tensor, table: Tensor) -> Iterator[slice]:
    size = max(1, BLOCK_BYTES // (4 * len(table)))
    return (slice(start, start + size) for start in range(0, len(hidden), size))
