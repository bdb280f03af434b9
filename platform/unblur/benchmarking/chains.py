"""Reverse chains of a linear denoiser: all guidance scales and numbers of steps as maps, beside one step by step."""

from itertools import product
from typing import Any

import torch
from torch import Tensor

from unblur.benchmarking.implementations import timed
from unblur.benchmarking.recommending import made
from unblur.benchmarking.result import Chains
from unblur.diffusion.affine_chain import affine_chain
from unblur.diffusion.condition import Condition, OrderedItems
from unblur.diffusion.guided_sampler import GuidedSampler
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import reverse_steps, thinned
from unblur.models.diffusion import dreamrec

T = 500
SCALES, STEPS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 9.0), (1, 5, 20, 100, T)
BESIDE = (3.0, T)
"""Of which the chain is also run step by step."""
COMPARED = 256
"""Users whose every setting is also run step by step, and compared."""


@torch.inference_mode()
def measure(users: int) -> Chains:
    """Seconds for `users` users of made data, of a dreamrec that is not trained: other weights take as long."""
    dataset = made(users)
    config = dreamrec.Config.model_validate({"T": T, "sampler": "posterior_mean"})
    model = dreamrec.Model(config, dataset.n_users, dataset.n_items).eval()
    items, _ = dataset.history().sequences(model.config.newest or 1)
    condition = OrderedItems(torch.from_numpy(items), dataset.n_items)
    x = torch.randn(users, model.space.dim, generator=torch.Generator().manual_seed(0))
    encoding, (strong, weak) = timed(lambda: _sampler(model, *BESIDE).encoded(condition))
    maps, _ = timed(lambda: [_mapped(_sampler(model, *each), x, weak, strong) for each in product(SCALES, STEPS)])
    plain, _ = timed(lambda: _sampler(model, *BESIDE).plain(x, condition, _never))
    return Chains(
        model="dreamrec",
        users=users,
        dim=model.space.dim,
        steps=T,
        settings=len(SCALES) * len(STEPS),
        encoding=encoding,
        maps=maps,
        plain=plain,
        largest_difference=_apart(model, x[:COMPARED], OrderedItems(condition.tensor[:COMPARED], dataset.n_items)),
    )


def told(found: Chains) -> str:
    """The result in words."""
    return (
        f"reverse chains, {found.model}: {found.settings} settings for {found.users:,} users as maps in "
        f"{found.maps:.2f} s after {found.encoding:.2f} s of reading histories; one of {found.steps} steps, step by "
        f"step, in {found.plain:.2f} s; maps and chains differ by at most {found.largest_difference:.1e}"
    )


def _sampler(model: dreamrec.Model, scale: float, count: int) -> GuidedSampler:
    model.infer_with({"guidance_scale": scale, "reverse_steps": count})
    steps = reverse_steps(model.process, SAMPLERS.get(model.config.sampler), thinned(T, count))
    return GuidedSampler(model.network, None, steps, model.guidance.scales(T), model.process.to_x0)


def _mapped(sampler: GuidedSampler, x: Tensor, weak: Any, strong: Any) -> Tensor:
    """The chain as one map, which is made here; what the passes know is given, as it is the same for all settings."""
    network: Any = sampler.network
    return affine_chain(network, sampler.steps, sampler.scales)(x, weak, strong, _never)


def _apart(model: dreamrec.Model, x: Tensor, condition: Condition) -> float:
    """The largest difference of a map from its chain over all settings, over the largest number of that chain."""
    strong, weak = _sampler(model, *BESIDE).encoded(condition)
    apart = []
    for each in product(SCALES, STEPS):
        sampler = _sampler(model, *each)
        x_0 = sampler.plain(x, condition, _never)
        apart.append(float((_mapped(sampler, x, weak, strong) - x_0).abs().max() / x_0.abs().max()))
    return max(apart)


def _never(t: int) -> Tensor:
    raise AssertionError("the posterior's mean draws nothing")
