"""What every denoiser promises, with every encoder; new ones of both are found by their files."""

from functools import partial

import pytest
import torch
from tests.helpers.networks import ATTENDING, CONDITIONED, N_ITEMS, PAIRS, conditioned, network, told

from unblur.diffusion.denoiser import LearnedNull, LinearEnds
from unblur.diffusion.guidance import guided
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import hidden_chain, plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance
from unblur.nn.sparse import with_values

B = 6


def steps(x: torch.Tensor, t: int) -> torch.Tensor:
    return torch.full((len(x),), t)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    history = (torch.rand(B, N_ITEMS) < 0.3).float()
    history[2] = 0  # a user without history
    return torch.randn(B, N_ITEMS), torch.arange(B), history.to_sparse_csr()


@pytest.mark.parametrize(("denoiser", "encoder"), PAIRS)
@pytest.mark.parametrize("dims", [(12,), (8, 16)])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("learned_null", [False, True])
def test_shape_time_and_condition(
    denoiser: str, encoder: str, dims: tuple[int, ...], normalize: bool, learned_null: bool, inputs: tuple
) -> None:
    made, (x, t, history) = network(denoiser, encoder, dims, normalize, learned_null), inputs
    with torch.no_grad():
        condition = told(encoder, history, denoiser)
        c = made.encode(condition)
        output, null = made(x, t, c), made(x, t, made.encode(condition.nobody()))
        assert output.shape == (B, N_ITEMS) and output.isfinite().all()
        assert not made(x, t + 3, c).allclose(output)
        assert learned_null or null.allclose(made(x, t, None))
        differs = (output - null).abs().amax(dim=1) > 1e-4  # rounding is some 1e-6, what is told some 1e-3 at least
        # an empty history is the null condition
        told_something = conditioned(denoiser, encoder) or (learned_null and isinstance(made, LearnedNull))
        assert differs.tolist() == [told_something and row != 2 for row in range(B)]


@pytest.mark.parametrize(("denoiser", "encoder"), PAIRS)
@pytest.mark.parametrize("learned_null", [False, True])
def test_gradient_reaches_every_parameter(denoiser: str, encoder: str, learned_null: bool, inputs: tuple) -> None:
    made, (x, t, history) = network(denoiser, encoder, learned_null=learned_null), inputs
    made(x, t, made.encode(told(encoder, history, denoiser))).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("denoiser", "encoder"), PAIRS)
def test_dense_and_sparse_input_agree(denoiser: str, encoder: str, inputs: tuple) -> None:
    made, (_, t, history) = network(denoiser, encoder, normalize=True), inputs
    with torch.no_grad():
        c = made.encode(told(encoder, history, denoiser))
        torch.testing.assert_close(made(history, t, c), made(history.to_dense(), t, c))


@pytest.mark.parametrize(("denoiser", "encoder"), PAIRS)
def test_a_latent_may_be_diffused_too(denoiser: str, encoder: str, inputs: tuple) -> None:
    made, (_, t, history) = network(denoiser, encoder, n=7), inputs
    assert made(torch.randn(B, 7), t, made.encode(told(encoder, history, denoiser))).shape == (B, 7)


@pytest.mark.parametrize(("denoiser", "encoder"), PAIRS)
@pytest.mark.parametrize("prediction", PREDICTIONS.names())
@pytest.mark.parametrize(
    ("sparse", "normalize", "dims", "learned_null", "sampler"),
    [
        (False, False, (12,), False, "posterior_mean"),
        (True, True, (8, 16), False, "posterior_mean"),
        (True, False, (12,), True, "posterior_mean"),
        (False, True, (8, 16), False, "ddim"),
    ],
)
def test_the_hidden_chain_is_the_plain_chain(
    denoiser: str,
    encoder: str,
    prediction: str,
    normalize: bool,
    sparse: bool,
    dims: tuple[int, ...],
    learned_null: bool,
    sampler: str,
    inputs: tuple,
) -> None:
    made, (x, _, history) = network(denoiser, encoder, dims, normalize, learned_null).double(), inputs
    if not isinstance(made, LinearEnds):
        pytest.skip(f"{denoiser} has no linear ends")
    history = history.double()
    x = history if sparse else x.double()
    process = Process(linear_variance(7, 1.0, 0.1, 0.9), 7, PREDICTIONS.get(prediction)())
    chain = reverse_steps(process, SAMPLERS.get(sampler))
    c, ends = made.encode(told(encoder, history, denoiser)), made.ends()

    def output(scale: float, x: torch.Tensor, t: int) -> torch.Tensor:
        return guided(*(partial(made, x, steps(x, t), each) for each in (None, c)), scale)

    def hidden(scale: float, z: torch.Tensor, t: int) -> torch.Tensor:
        return guided(*(partial(made.hidden, z, steps(z, t), each) for each in (None, c)), scale)

    with torch.no_grad():
        for scale in (0.0, 1.0, 2.5):
            plain = plain_chain(x.to_dense() if sparse else x, chain, partial(output, scale))
            fast = hidden_chain(x, chain, ends, ends.products(), partial(hidden, scale))
            torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("denoiser", "encoder"), ATTENDING)
def test_attention_does_not_see_what_the_condition_dropped(denoiser: str, encoder: str, inputs: tuple) -> None:
    made, (x, t, history) = network(denoiser, encoder), inputs
    kept = torch.arange(N_ITEMS) % 2 * history.to_dense()
    zeros = with_values(history, kept[history.to_dense() > 0])
    assert (zeros.values() == 0).any()
    with torch.no_grad():
        torch.testing.assert_close(
            made(x, t, made.encode(told(encoder, zeros, denoiser))),
            made(x, t, made.encode(told(encoder, kept.to_sparse_csr(), denoiser))),
        )


@pytest.mark.parametrize(("denoiser", "encoder"), CONDITIONED)
def test_a_users_condition_depends_on_no_other_user(denoiser: str, encoder: str, inputs: tuple) -> None:
    made, (x, t, history) = network(denoiser, encoder), inputs
    with torch.no_grad():
        alone = history.to_dense()[3:4].to_sparse_csr()
        together = made(x, t, made.encode(told(encoder, history, denoiser)))[3:4]
        torch.testing.assert_close(
            made(x[3:4], t[3:4], made.encode(told(encoder, alone, denoiser))), together, rtol=1e-4, atol=1e-5
        )
