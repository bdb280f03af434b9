"""The reverse chain of a linear denoiser as one affine map: x_0 = x_T A + c_weak B_weak + c_strong B_strong + d.

With output = x_t W + c + o_t, a step x' = keep x_t + take output under guidance of scale s multiplies what was there by
M = keep I + take W and adds take ((1 - s) c_weak + s c_strong + o_t). So A <- A M; B_weak <- B_weak M + take (1 - s) I,
and so on. Nothing of it depends on a user: steps cost n^3 once, and at a constant scale s B_weak = (1 - s) B and
B_strong = s B, so that x_0, and scores that are linear in it, are linear in the scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.diffusion.denoiser import Affine
from unblur.diffusion.sampling import Step
from unblur.nn.sparse import project


@dataclass(frozen=True)
class AffineChain:
    """A whole chain; matrices (n, n), constant (n,)."""

    of_start: Tensor
    of_weak: Tensor
    of_strong: Tensor
    constant: Tensor
    moves: Sequence[tuple[Step, Tensor]]
    """Each step with its M, for noise that joins on the way."""

    def __call__(self, x: Tensor, weak: Tensor | None, strong: Tensor | None, noise: Callable[[int], Tensor]) -> Tensor:
        """x_0 (B, n) from x (B, n) and what the passes know (B, n); None: nothing. `noise(t)` is step t's."""
        x_0 = self._carried(x, noise) + self.constant
        for told, matrix in ((weak, self.of_weak), (strong, self.of_strong)):
            x_0 = x_0 if told is None else x_0 + told @ matrix
        return x_0

    def _carried(self, x: Tensor, noise: Callable[[int], Tensor]) -> Tensor:
        """What is left of the start, and of the noise of each step."""
        if not self.moves:
            return project(x, self.of_start)
        for step, move in self.moves:
            x = project(x, move)
            x = x + step.sigma * noise(step.t) if step.sigma else x
        return x


@torch.no_grad()
def affine_chain(network: Affine, steps: Sequence[Step], scales: Sequence[float]) -> AffineChain:
    """The chain of these steps under the guidance scales (by t), put together in double precision."""
    weight = network.weight.double()
    offsets = network.offset(torch.tensor([step.t for step in steps], device=weight.device)).double()
    identity = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    start, strong, weak = identity, torch.zeros_like(identity), torch.zeros_like(identity)
    constant, moves = torch.zeros_like(offsets[0]), []
    for step, offset in zip(steps, offsets, strict=True):
        move, scale = step.keep * identity + step.take * weight, scales[step.t]
        start, constant = start @ move, constant @ move + step.take * offset
        weak = weak @ move + step.take * (1 - scale) * identity
        strong = strong @ move + step.take * scale * identity
        moves.append((step, move.to(network.weight.dtype)))
    drawn = moves if any(step.sigma for step in steps) else []
    start, weak, strong, constant = (each.to(network.weight.dtype) for each in (start, weak, strong, constant))
    return AffineChain(start, weak, strong, constant, drawn)
