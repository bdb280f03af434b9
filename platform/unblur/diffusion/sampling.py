"""Reverse chains: step by step, and exactly the same in hidden space.

Every sampler here is a list of affine steps x' = keep x_t + take output (+ sigma z), where `output` is the
(guided) network's and z standard normal noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.diffusion.expert import Expert, Through
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import posterior_mean
from unblur.nn.onednn import Packed
from unblur.nn.sparse import TINY, dense, project, row_products, row_squares

Sampler = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(variance, sigma) of a reverse step (`samplers`)."""


@dataclass(frozen=True)
class Step:
    """x' = keep x_t + take output + sigma z, at step t (from 0)."""

    t: int
    keep: float
    take: float
    sigma: float = 0.0


def reverse_steps(process: Process, sampler: Sampler = posterior_mean, kept: Sequence[int] | None = None) -> list[Step]:
    """The reverse chain, last step first, as the sampler has it.

    kept: the ascending steps to run, all by default; the schedule is then thinned to them. Without noise (s = 0) the
    network's output simply replaces x_t.
    """
    kept = range(process.T) if kept is None else kept
    alpha_bar = process.alpha_bar.double().cpu()
    steps = []
    for i in reversed(range(len(kept))):
        now = alpha_bar[kept[i]]
        before = alpha_bar[kept[i - 1]] if i else torch.ones_like(now)
        a, b = process.prediction.to_x0(now)
        if process.noiseless:
            steps.append(Step(kept[i], float(a), float(b)))
            continue
        variance, sigma = sampler(now, before)
        of_xt = ((1 - before - variance).clamp(min=0) / (1 - now)).sqrt()
        of_x0 = before.sqrt() - now.sqrt() * of_xt
        steps.append(Step(kept[i], float(of_x0 * a + of_xt), float(of_x0 * b), float(sigma)))
    return steps


def thinned(T: int, count: int) -> list[int]:
    """`count` of the steps 0 ... T-1, evenly spread, both ends among them (the last alone for a count of 1)."""
    count = min(count, T)
    return [round(T - 1 - i * (T - 1) / max(count - 1, 1)) for i in reversed(range(count))]


def plain_chain(
    x: Tensor,
    steps: Sequence[Step],
    predict: Callable[[Tensor, int], Tensor],
    noise: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """x_0 (B, n) from x (B, n): `predict(x_t, t)` is called once a step; `noise(t)` draws z (B, n)."""
    for step in steps:
        output = predict(x, step.t)
        x = step.take * output if step.keep == 0 else step.keep * x + step.take * output
        if step.sigma and noise is not None:
            x = x + step.sigma * noise(step.t)
    return x


@dataclass(frozen=True)
class LinearNetwork:
    """A network with linear ends: output = hidden(x w_in / ||x||, t) w_out^T + b_out, the norm only if `normalize`.

    w_in (n, h), w_out (n, k), b_out (n,).
    """

    w_in: Tensor
    w_out: Tensor
    b_out: Tensor
    normalize: bool

    def products(self) -> "Products":
        """The small matrices of the hidden-space chain; they belong to the weights and serve a whole evaluation."""
        w_in, w_out, b = self.w_in, self.w_out, self.b_out
        norms = (Packed(w_out.T @ w_out), b @ w_out, b @ b) if self.normalize else None
        return Products(Packed(w_in.T @ w_out), b @ w_in, Packed(w_out), norms)

    def through(self, expert: Tensor) -> Through:
        """The same of an expert's matrix (n, n): by [w_in, and if normalize w_out and b_out] (n, h + k + 1)."""
        parts = [self.w_in, self.w_out, self.b_out.unsqueeze(-1)] if self.normalize else [self.w_in]
        return Through.of(expert, torch.cat(parts, dim=1))


@dataclass(frozen=True)
class Products:
    """By w_out^T w_in (k, h), b_out w_in (h,), by w_out^T (k, n).

    For ||x_t||: by w_out^T w_out (k, k), b_out w_out (k,), ||b_out||^2 ().
    """

    out_in: Packed
    bias_in: Tensor
    out: Packed
    norms: tuple[Packed, Tensor, Tensor] | None


@dataclass(frozen=True)
class Joined:
    """An expert in the hidden-space chain: z, z w_in, and for ||x_t|| z w_out^T (B, k) and z . b_out (B,)."""

    z: Tensor
    weights: Sequence[float]
    into: Tensor
    out: Tensor
    bias: Tensor

    @classmethod
    def of(cls, expert: Expert, network: LinearNetwork, through: Through) -> "Joined":
        """through: what `network.through` made of the expert's matrix."""
        width, through_z = network.w_in.shape[1], expert.opinion.through(through)
        into, rest = through_z[:, :width], through_z[:, width:]
        return cls(expert.opinion.z, expert.weights, into, rest[:, :-1], rest[:, -1:].squeeze(-1))


def hidden_chain(
    x: Tensor,
    steps: Sequence[Step],
    network: LinearNetwork,
    products: Products,
    hidden: Callable[[Tensor, int], Tensor],
    expert: Joined | None = None,
) -> Tensor:
    """The deterministic plain chain, exactly, at hidden^2 instead of 2 hidden n a step.

    x_t never leaves the form a x + g w_out^T + r b_out + e z with scalars a, r, e and a hidden vector g (B, k), because
    each step is affine in x_t and in output = h w_out^T + b_out + weight z. x (B, n) may be sparse CSR.
    `hidden(projected (B, h), t) -> (B, k)` may guide, since the output is linear in it.
    """
    projected = project(x, network.w_in)
    norm = _norm(x, network, products, expert) if network.normalize else None
    a, r, e, g = 1.0, 0.0, 0.0, projected.new_zeros(x.shape[0], network.w_out.shape[1])
    for i, step in enumerate(steps):
        pre = products.out_in(g, r * products.bias_in).add_(projected, alpha=a) if i else projected
        if expert is not None and e:
            pre = pre.add_(expert.into, alpha=e)
        if norm is not None:
            pre = pre / norm(a, g, r, e).clamp(min=TINY).unsqueeze(-1)
        h = hidden(pre, step.t)
        a, r, g = step.keep * a, step.take + step.keep * r, g.mul_(step.keep).add_(h, alpha=step.take)
        e = 0.0 if expert is None else step.keep * e + step.take * expert.weights[step.t]
    result = products.out(g, r * network.b_out)
    result = result if a == 0 else result + a * dense(x)
    return result if expert is None else result.add_(expert.z, alpha=e)


Norm = Callable[[float, Tensor, float, float], Tensor]


def _norm(x: Tensor, network: LinearNetwork, products: Products, expert: Joined | None) -> Norm:
    """||a x + g w_out^T + r b_out + e z|| (B,) as a function of (a, g, r, e), from small products alone."""
    assert products.norms is not None
    out_out, bias_out, bias_bias = products.norms
    x_x, x_out = row_squares(x), project(x, network.w_out)
    x_bias = project(x, network.b_out.unsqueeze(-1)).squeeze(-1)
    none = torch.zeros_like(x_x)
    z_z, x_z = (none, none) if expert is None else (row_squares(expert.z), row_products(x, expert.z))

    def norm(a: float, g: Tensor, r: float, e: float) -> Tensor:
        squares = a * a * x_x + (out_out(g) * g).sum(-1) + r * r * bias_bias
        crossed = a * (g * x_out).sum(-1) + a * r * x_bias + r * (g @ bias_out)
        if expert is not None:
            squares = squares + e * e * z_z
            crossed = crossed + e * (a * x_z + (g * expert.out).sum(-1) + r * expert.bias)
        return (squares + 2 * crossed).clamp(min=0).sqrt()

    return norm
