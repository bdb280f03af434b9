"""Linear layers and tanh on a CPU: oneDNN's, which PyTorch has but keeps for other types of numbers.

Its kernels reach the same speed for every shape, where the BLAS behind `@` is slower when the number of items is no
multiple of 16, and its tanh is faster: docs/performance.md has what `jobs/benchmark.py` told before and after.
`_linear_pointwise` is the operation that PyTorch's own compiler calls; where it is missing, and on other devices, the
plain operations serve.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

AVAILABLE: bool = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


class Packed:
    """A weight (n_out, n_in) that is laid out once for many products; without gradients."""

    def __init__(self, weight: Tensor) -> None:
        weight = weight.detach()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous()) if _serves(weight) else weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x weight^T (+ bias): (B, n_out) from x (B, n_in) and bias (n_out,)."""
        if not self.weight.is_mkldnn:
            return F.linear(x, self.weight, bias)
        return _product(x, self.weight, bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T (+ bias): (B, n_out) from x (B, n_in), weight (n_out, n_in) and bias (n_out,), with gradients."""
    if not _serves(x) or x.ndim != 2:
        return F.linear(x, weight, bias)
    output: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return output


def tanh(x: Tensor) -> Tensor:
    """tanh of every element; with gradients it is PyTorch's own."""
    if not _serves(x) or (torch.is_grad_enabled() and x.requires_grad):
        return torch.tanh(x)
    return torch.tanh(x.contiguous().to_mkldnn()).to_dense()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.T, None) if of_x else None,
            _outer(gradient, x, weight.is_contiguous()) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _outer(gradient: Tensor, x: Tensor, in_order: bool) -> Tensor:
    """gradient^T x (n_out, n_in), in the memory order of its weight: the wrong one costs a third more."""
    return gradient.T @ x if in_order else (x.T @ gradient).T


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    output: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
    return output


def _serves(x: Tensor) -> bool:
    return AVAILABLE and x.device.type == "cpu" and x.dtype is torch.float32 and x.numel() > 0
