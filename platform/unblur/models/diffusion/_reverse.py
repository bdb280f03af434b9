"""The reverse chain of a guided denoiser, in hidden space where that is exactly the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from unblur.denoisers.base import Denoiser, LinearEnds
from unblur.diffusion.guidance import guided
from unblur.diffusion.sampling import Products, Step, hidden_chain, plain_chain
from unblur.nn.sparse import dense


@dataclass(frozen=True)
class Reverse:
    """Runs `steps` with a network under guidance: weak + scale(t) (strong - weak)."""

    network: Denoiser
    weak: Denoiser | None
    """A weaker network for autoguidance; None: the weak pass is `network` without the condition."""
    steps: Sequence[Step]
    scale: Callable[[int], float]
    to_x0: Callable[[Tensor, Tensor, Tensor], Tensor]
    """The x_0 (B, n) that a prediction (B, n) at x_t (B, n) and t (B,) stands for."""
    link: Callable[[Tensor], Tensor] | None = None
    """What turns the guided output into the prediction, if not the identity (a softmax, say)."""

    @property
    def in_hidden_space(self) -> bool:
        linear = isinstance(self.network, LinearEnds) and self.weak is None and self.link is None
        return linear and not any(step.sigma for step in self.steps)

    def plain(self, x: Tensor, condition: Tensor | None, noise: Callable[[int], Tensor]) -> Tensor:
        """x_0 (B, n) from x (B, n), step by step; `noise(t)` draws what step t adds."""

        estimate: Tensor | None = None

        def predict(x_t: Tensor, t: int) -> Tensor:
            nonlocal estimate
            at = _steps(x_t, t)
            weaker, network = (each.knowing(estimate) for each in (self.weak or self.network, self.network))
            weak = partial(weaker, x_t, at, condition if self.weak else None)
            output = guided(weak, partial(network, x_t, at, condition), self.scale(t))
            output = self.link(output) if self.link else output
            estimate = self.to_x0(output, x_t, at)
            return output

        return plain_chain(dense(x), self.steps, predict, noise)

    def hidden(self, x: Tensor, condition: Tensor | None, products: Products) -> Tensor:
        """The same; `products` are those of the network's ends."""
        network = self.network
        assert isinstance(network, LinearEnds)
        encoded = network.encode(condition)

        def hidden(projected: Tensor, t: int) -> Tensor:
            at = torch.tensor([t], device=projected.device)  # one row: its embedding serves the whole block
            weak, strong = (partial(network.hidden, projected, at, e) for e in (None, encoded))
            return guided(weak, strong, self.scale(t))

        return hidden_chain(x, self.steps, network.ends(), products, hidden)


def _steps(x: Tensor, t: int) -> Tensor:
    return torch.full((x.shape[0],), t, device=x.device)
