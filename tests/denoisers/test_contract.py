"""What every denoiser promises; new ones are found by their file."""

from functools import partial
from pkgutil import iter_modules

import pytest
import torch

import unblur.denoisers
from unblur.denoisers.base import Denoiser, LearnedNull, LinearEnds
from unblur.diffusion.guidance import guided
from unblur.diffusion.process import Process
from unblur.diffusion.sampling import hidden_chain, plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance
from unblur.nn.sparse import with_values

NAMES = [module.name for module in iter_modules(unblur.denoisers.__path__) if module.name != "base"]
B, N = 6, 40


def build(name: str, dims: tuple[int, ...] = (12,), normalize: bool = False, learned_null: bool = False) -> Denoiser:
    torch.manual_seed(0)
    network = unblur.denoisers.build(name, N, dims, dropout=0.3, normalize=normalize)
    if learned_null:
        assert isinstance(network, LinearEnds)
        network = LearnedNull(network)
    return network.eval()


def steps(x: torch.Tensor, t: int) -> torch.Tensor:
    return torch.full((len(x),), t)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    history = (torch.rand(B, N) < 0.3).float()
    history[2] = 0  # a user without history
    return torch.randn(B, N), torch.arange(B), history.to_sparse_csr()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dims", [(12,), (8, 16)])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("learned_null", [False, True])
def test_shape_time_and_condition(
    name: str, dims: tuple[int, ...], normalize: bool, learned_null: bool, inputs: tuple
) -> None:
    network, (x, t, condition) = build(name, dims, normalize, learned_null), inputs
    with torch.no_grad():
        output, null = network(x, t, condition), network(x, t, None)
        assert output.shape == (B, N) and output.isfinite().all()
        assert not network(x, t + 3, condition).allclose(output)
        differs = (output - null).abs().amax(dim=1) > 1e-6
        # an empty history is the null condition
        assert differs.tolist() == [(network.GUIDED or learned_null) and row != 2 for row in range(B)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("learned_null", [False, True])
def test_gradient_reaches_every_parameter(name: str, learned_null: bool, inputs: tuple) -> None:
    network = build(name, learned_null=learned_null)
    network(*inputs).square().sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_dense_and_sparse_input_agree(name: str, inputs: tuple) -> None:
    network, (_, t, condition) = build(name, normalize=True), inputs
    with torch.no_grad():
        torch.testing.assert_close(network(condition, t, condition), network(condition.to_dense(), t, condition))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prediction", ["x0", "eps", "v"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("sparse", "dims", "learned_null", "sampler"),
    [
        (False, (12,), False, "posterior_mean"),
        (True, (8, 16), False, "posterior_mean"),
        (True, (12,), True, "posterior_mean"),
        (False, (8, 16), False, "ddim"),
    ],
)
def test_the_hidden_chain_is_the_plain_chain(
    name: str,
    prediction: str,
    normalize: bool,
    sparse: bool,
    dims: tuple[int, ...],
    learned_null: bool,
    sampler: str,
    inputs: tuple,
) -> None:
    network, (x, _, condition) = build(name, dims, normalize, learned_null).double(), inputs
    if not isinstance(network, LinearEnds):
        pytest.skip(f"{name} has no linear ends")
    condition = condition.double()
    x = condition if sparse else x.double()
    chain = reverse_steps(Process(linear_variance(7, 1.0, 0.1, 0.9), 7), prediction, sampler)

    encoded, ends = network.encode(condition), network.ends()

    def output(scale: float, x: torch.Tensor, t: int) -> torch.Tensor:
        return guided(*(partial(network, x, steps(x, t), c) for c in (None, condition)), scale)

    def hidden(scale: float, z: torch.Tensor, t: int) -> torch.Tensor:
        return guided(*(partial(network.hidden, z, steps(z, t), c) for c in (None, encoded)), scale)

    with torch.no_grad():
        for scale in (0.0, 1.0, 2.5):
            plain = plain_chain(x.to_dense() if sparse else x, chain, partial(output, scale))
            fast = hidden_chain(x, chain, ends, ends.products(), partial(hidden, scale))
            torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["cross_attention", "self_attention"])
def test_attention_does_not_see_what_the_condition_dropped(name: str, inputs: tuple) -> None:
    network, (x, t, condition) = build(name), inputs
    kept = torch.arange(N) % 2 * condition.to_dense()
    zeros = with_values(condition, kept[condition.to_dense() > 0])
    assert (zeros.values() == 0).any()
    with torch.no_grad():
        torch.testing.assert_close(network(x, t, zeros), network(x, t, kept.to_sparse_csr()))
