"""A linear expert beside the network in the reverse chain: x_0_hat = guided + tau z, z = c B standardised per user.

c (B, n) is a user's weighted history and B (n, n) what the expert knows of pairs of items. The chain is linear in z, so
that it stays exact in hidden space with one more scalar.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.nn.sparse import TINY, project


@dataclass(frozen=True)
class Through:
    """What is needed of a matrix W (n, h) to give z W from c alone; it serves a whole evaluation."""

    product: Tensor
    """B W (n, h)."""
    sums: Tensor
    """Those of W's columns (h,)."""

    @classmethod
    def of(cls, matrix: Tensor, weight: Tensor) -> "Through":
        return cls(matrix @ weight, weight.sum(0))


@dataclass(frozen=True)
class Opinion:
    """What an expert thinks of B users' items; a user of whom it knows nothing has z = 0."""

    c: Tensor
    """Weighted histories (B, n), sparse CSR."""
    mean: Tensor
    """Of c B in each row (B, 1)."""
    spread: Tensor
    """Standard deviation of c B in each row (B, 1)."""
    z: Tensor
    """(B, n)."""

    @classmethod
    def of(cls, c: Tensor, matrix: Tensor) -> "Opinion":
        """That of the expert with this matrix (n, n)."""
        z = project(c, matrix)
        spread, mean = torch.std_mean(z, dim=1, keepdim=True)
        spread = spread.clamp(min=TINY)
        return cls(c, mean, spread, z.sub_(mean).div_(spread))

    def through(self, known: Through) -> Tensor:
        """z W (B, h)."""
        return (project(self.c, known.product) - self.mean * known.sums) / self.spread


@dataclass(frozen=True)
class Expert:
    """An opinion with its weights in a chain."""

    opinion: Opinion
    matrix: Tensor
    """B (n, n)."""
    weights: Sequence[float]
    """At each step t, z times this joins the network's guided output: tau over what the output is worth in x_0_hat."""
