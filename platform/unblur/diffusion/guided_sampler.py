"""The guided reverse chain of a denoiser, in hidden space where that is exactly the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from unblur.diffusion.affine_chain import affine_chain
from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Affine, Denoiser, LinearEnds
from unblur.diffusion.expert import Expert
from unblur.diffusion.guidance import guided
from unblur.diffusion.sampling import Joined, LinearNetwork, Step, hidden_chain, plain_chain
from unblur.diffusion.self_conditioning import SelfConditioned, WithEstimate
from unblur.nn.sparse import dense

T = TypeVar("T")


class Memo:
    """What is made of a model's weights once, and serves until they change."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def get(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gave under that key."""
        if key not in self.kept:
            self.kept[key] = make()
        made: T = self.kept[key]
        return made


@dataclass(frozen=True)
class GuidedSampler:
    """Runs `steps` with a network under guidance: weak + scales[t] (strong - weak)."""

    network: Denoiser
    weak: Denoiser | None
    """A weaker network for autoguidance; None: the weak pass is `network` without the condition."""
    steps: Sequence[Step]
    scales: Sequence[float]
    to_x0: Callable[[Tensor, Tensor, Tensor], Tensor]
    """The x_0 (B, n) that a prediction (B, n) at x_t (B, n) and t (B,) stands for."""
    activation: Callable[[Tensor], Tensor] | None = None
    """What turns the guided output into the prediction, if not the identity (a softmax, say)."""
    expert: Expert | None = None
    """A second opinion that joins the guided output, before its activation."""
    others: Callable[[], Condition] | None = None
    """What the weak pass is told, other users' histories, if there is one; None: nobody's."""

    @property
    def in_hidden_space(self) -> bool:
        """Whether `hidden` gives what `plain` does."""
        linear = isinstance(self.network, LinearEnds) and self.weak is None and self.activation is None
        return linear and not self.draws

    @property
    def affine(self) -> bool:
        """Whether the whole chain is one map that gives what `plain` does."""
        alone = self.weak is None and self.expert is None
        return isinstance(self.network, Affine) and alone and self.activation is None

    @property
    def draws(self) -> bool:
        """Whether a step adds noise."""
        return any(step.sigma for step in self.steps)

    def run(self, x: Tensor, condition: Condition | None, noise: Callable[[int], Tensor], memo: Memo) -> Tensor:
        """x_0 (B, n) from x (B, n) in the fastest way that is exactly the plain chain; `noise(t)` is step t's.

        memo: what was made of these weights before.
        """
        network = self.network
        if self.in_hidden_space and isinstance(network, LinearEnds):
            return self.hidden(x, condition, memo)
        if self.affine and isinstance(network, Affine):
            key = ("chain", *self.steps, *self.scales)
            chain = memo.get(key, lambda: affine_chain(network, self.steps, self.scales))
            strong, weak = self.encoded(condition)
            return chain(x, weak, strong, noise)
        return self.plain(x, condition, noise)

    def plain(self, x: Tensor, condition: Condition | None, noise: Callable[[int], Tensor]) -> Tensor:
        """x_0 (B, n) from x (B, n), step by step; `noise(t)` is step t's."""
        weaker = self.weak or self.network
        c, weak_c = self.encoded(condition)
        estimate: Tensor | None = None

        def predict(x_t: Tensor, t: int) -> Tensor:
            nonlocal estimate
            at = _steps(x_t, t)
            weak = partial(weaker, x_t, at, _shown(weaker, weak_c, estimate))
            output = guided(weak, partial(self.network, x_t, at, _shown(self.network, c, estimate)), self.scales[t])
            if self.expert is not None:
                output = output.add(self.expert.opinion.z, alpha=self.expert.weights[t])
            output = self.activation(output) if self.activation else output
            estimate = self.to_x0(output, x_t, at)
            return output

        return plain_chain(dense(x), self.steps, predict, noise)

    def hidden(self, x: Tensor, condition: Condition | None, memo: Memo) -> Tensor:
        """The same."""
        network = self.network
        assert isinstance(network, LinearEnds)
        c, weak_c = self.encoded(condition)

        def hidden(projected: Tensor, t: int) -> Tensor:
            at = torch.tensor([t], device=projected.device)  # one row: its embedding serves the whole block
            weak, strong = (partial(network.hidden, projected, at, each) for each in (weak_c, c))
            return guided(weak, strong, self.scales[t])

        ends = network.ends()
        products = memo.get("products", ends.products)
        return hidden_chain(x, self.steps, ends, products, hidden, self._joined(ends, memo))

    def _joined(self, ends: LinearNetwork, memo: Memo) -> Joined | None:
        expert = self.expert
        if expert is None:
            return None
        return Joined.of(expert, ends, memo.get("through", lambda: ends.through(expert.matrix)))

    def encoded(self, condition: Condition | None) -> tuple[Any, Any]:
        """What the strong and the weak pass know: without a weaker network the latter knows not this user's history."""
        if condition is None:
            return None, None
        if self.weak is not None:
            return self.network.encode(condition), self.weak.encode(condition)
        if all(scale == 1 for scale in self.scales):
            return self.network.encode(condition), None
        other = condition.nobody() if self.others is None else self.others()
        return self.network.encode(condition), self.network.encode(other)


def _shown(network: Denoiser, c: Any, estimate: Tensor | None) -> Any:
    """The condition with the last step's estimate, for a network that asks for it."""
    return c if estimate is None or not isinstance(network, SelfConditioned) else WithEstimate(c, estimate)


def _steps(x: Tensor, t: int) -> Tensor:
    return torch.full((x.shape[0],), t, device=x.device)
