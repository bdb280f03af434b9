"""An expert in the reverse chain: the same in hidden space, and worth tau z in every x_0_hat."""

import pytest
import torch
from tests.helpers.networks import N_ITEMS, network
from torch import Tensor

from unblur.diffusion.condition import WeightedRows
from unblur.diffusion.expert import Expert, Opinion, Through
from unblur.diffusion.guided_sampler import GuidedSampler, Memo
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance

B, T, TAU = 6, 7, 0.3


@pytest.fixture
def history() -> Tensor:
    torch.manual_seed(1)
    rows = (torch.rand(B, N_ITEMS, dtype=torch.float64) < 0.3).double() * torch.rand(B, N_ITEMS, dtype=torch.float64)
    rows[2] = 0  # a user without history
    return rows.to_sparse_csr()


@pytest.fixture
def matrix() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(N_ITEMS, N_ITEMS, dtype=torch.float64)


def process(prediction: str) -> Process:
    return Process(linear_variance(T, 1.0, 0.1, 0.9), T, PREDICTIONS.get(prediction)())


def expert(history: Tensor, matrix: Tensor, of: Process) -> Expert:
    _, worth = of.prediction.to_x0(of.alpha_bar)
    return Expert(Opinion.of(history, matrix), matrix, (TAU / worth).tolist())


def test_an_opinion_is_standardised_per_user_and_nothing_of_an_empty_history(history: Tensor, matrix: Tensor) -> None:
    z = Opinion.of(history, matrix).z
    scores = history.to_dense() @ matrix
    known = torch.arange(B) != 2
    torch.testing.assert_close(z.mean(1), torch.zeros(B, dtype=torch.float64))
    torch.testing.assert_close(z.std(1), known.double())
    assert z[known].argsort(1).equal(scores[known].argsort(1))


def test_its_product_with_a_matrix_comes_from_the_history_alone(history: Tensor, matrix: Tensor) -> None:
    opinion, weight = Opinion.of(history, matrix), torch.randn(N_ITEMS, 5, dtype=torch.float64)
    torch.testing.assert_close(opinion.through(Through.of(matrix, weight)), opinion.z @ weight)


@pytest.mark.parametrize("prediction", PREDICTIONS.names())
@pytest.mark.parametrize("sampler", ["posterior_mean", "ddim"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_the_hidden_chain_is_the_plain_chain(
    prediction: str, sampler: str, normalize: bool, sparse: bool, scale: float, history: Tensor, matrix: Tensor
) -> None:
    of, made = process(prediction), network("mlp", "bag", normalize=normalize).double()
    steps = reverse_steps(of, SAMPLERS.get(sampler))
    chain = GuidedSampler(made, None, steps, [scale] * T, of.to_x0, expert=expert(history, matrix, of))
    x = history if sparse else torch.randn(B, N_ITEMS, dtype=torch.float64)
    with torch.no_grad():
        plain = chain.plain(x, WeightedRows(history), torch.zeros_like)
        fast = chain.run(x, WeightedRows(history), torch.zeros_like, Memo())
        alone = GuidedSampler(made, None, steps, [scale] * T, of.to_x0).run(
            x, WeightedRows(history), torch.zeros_like, Memo()
        )
    assert chain.in_hidden_space
    torch.testing.assert_close(fast, plain, rtol=1e-8, atol=1e-8)
    assert not fast.allclose(alone)


@pytest.mark.parametrize("prediction", PREDICTIONS.names())
def test_at_every_step_it_adds_tau_z_to_the_estimate(prediction: str, history: Tensor, matrix: Tensor) -> None:
    """The plain chain of a network that answers the true output of x_0 + tau z does the same."""
    of, x_0 = process(prediction), torch.randn(B, N_ITEMS, dtype=torch.float64)
    joined = expert(history, matrix, of)
    steps = reverse_steps(of, SAMPLERS.get("posterior_mean"))
    estimates = []

    class Knowing(torch.nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, c: None) -> Tensor:
            return self.output(x_0, x_t, int(t[0]))

        def output(self, estimate: Tensor, x_t: Tensor, t: int) -> Tensor:
            keep, take = of.prediction.to_x0(of.alpha_bar[t])
            return (estimate - keep * x_t) / take

    def to_x0(output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        estimates.append(of.to_x0(output, x_t, t))
        return estimates[-1]

    knowing, start = Knowing(), torch.randn(B, N_ITEMS, dtype=torch.float64)
    found = GuidedSampler(knowing, None, steps, [1.0] * T, to_x0, expert=joined).plain(start, None, torch.zeros_like)
    for estimate in estimates:
        torch.testing.assert_close(estimate, x_0 + TAU * joined.opinion.z)
    shifted = x_0 + TAU * joined.opinion.z
    torch.testing.assert_close(found, plain_chain(start, steps, lambda x, t: knowing.output(shifted, x, t)))
