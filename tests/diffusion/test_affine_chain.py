"""The chain of a linear denoiser as one map, against the chain step by step."""

from typing import Any

import pytest
import torch
from tests.helpers.networks import N_ITEMS, network, told
from torch import Tensor

from unblur.diffusion.affine_chain import affine_chain
from unblur.diffusion.denoiser import Affine
from unblur.diffusion.guidance._rule import ramp_up
from unblur.diffusion.guided_sampler import GuidedSampler, Memo
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.ramps import RAMPS
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import reverse_steps, thinned
from unblur.diffusion.schedules import SCHEDULES
from unblur.encoders import ENCODERS

B, D = 5, 6


def noise(t: int) -> Tensor:
    return torch.randn(B, D, generator=torch.Generator().manual_seed(t))


def linear(encoder: str = "transformer") -> Affine:
    made = network("linear", encoder, n=D)
    assert isinstance(made, Affine)
    return made


def sampler(made: Affine, T: int = 9, scale: float = 2.5, **parts: Any) -> GuidedSampler:
    named = {"schedule": "cosine", "prediction": "x0", "sampler": "posterior_mean", "ramp": "constant", **parts}
    betas = SCHEDULES.get(named["schedule"])(T, 1.0, 0.1, 0.9)
    process = Process(betas, T, PREDICTIONS.get(named["prediction"])())
    kept = thinned(T, named.get("steps", T))
    steps = reverse_steps(process, SAMPLERS.get(named["sampler"]), kept)
    return GuidedSampler(made, None, steps, ramp_up(T, scale, named["ramp"]), process.to_x0)


def both(made: Affine, chain: GuidedSampler, encoder: str = "transformer") -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, history = torch.randn(B, D), (torch.rand(B, N_ITEMS) < 0.3).float()
    history[2] = 0
    condition = told(encoder, history.to_sparse_csr())
    assert chain.affine
    with torch.no_grad():
        return chain.run(x, condition, noise, Memo()), chain.plain(x, condition, noise)


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5, 9.0])
@pytest.mark.parametrize("name", SAMPLERS.names())
def test_it_is_the_plain_chain_for_every_sampler_scale_and_number_of_steps(name: str, scale: float, steps: int) -> None:
    made = linear()
    found, plain = both(made, sampler(made, scale=scale, sampler=name, steps=steps))
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "parts",
    [
        *({"prediction": name, "schedule": "linear_variance"} for name in PREDICTIONS.names()),
        *({"ramp": name} for name in RAMPS.names()),
        {"T": 200, "schedule": "linear_beta"},
        {"T": 1},
    ],
)
def test_whatever_is_predicted_and_however_guidance_grows(parts: dict[str, Any]) -> None:
    made = linear()
    found, plain = both(made, sampler(made, **parts))
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS.names())
def test_whatever_encoder_there_is(encoder: str) -> None:
    made = linear(encoder)
    found, plain = both(made, sampler(made), encoder)
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)


def test_two_products_are_enough_for_every_scale() -> None:
    """What a scale makes of a user is S0 + s S1, both from one network."""
    made = linear()
    at_0, at_1, at_7 = (both(made, sampler(made, scale=scale))[0] for scale in (0.0, 1.0, 7.0))
    torch.testing.assert_close(at_7, at_0 + 7 * (at_1 - at_0), rtol=1e-5, atol=1e-5)


def test_a_constant_scale_shares_one_matrix_between_the_passes() -> None:
    made = linear()
    chain = sampler(made, scale=3.0)
    maps = affine_chain(made, chain.steps, chain.scales)
    torch.testing.assert_close(maps.of_weak / -2, maps.of_strong / 3, rtol=1e-5, atol=1e-6)


def test_maps_are_made_once_for_the_same_weights_steps_and_scales() -> None:
    made, memo = linear(), Memo()
    condition = told("transformer", torch.ones(B, N_ITEMS).to_sparse_csr())
    with torch.no_grad():
        for scale in (2.0, 2.0, 3.0):
            sampler(made, scale=scale).run(torch.zeros(B, D), condition, noise, memo)
    assert len(memo.kept) == 2
