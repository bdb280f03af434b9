"""Self-conditioning (Chen et al. 2022): what the network is shown, when, and that nothing else changes."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from tests.helpers import networks
from tests.helpers.networks import N_ITEMS as N
from tests.helpers.networks import PAIRS
from tests.helpers.synthetic import communities
from tests.models.test_contract import CHANCE, scores, trained
from torch import Tensor

from unblur import models
from unblur.denoisers import DENOISERS
from unblur.diffusion.condition import Condition, WeightedRows
from unblur.diffusion.denoiser import LinearEnds
from unblur.diffusion.guided_sampler import GuidedSampler
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.sampling import plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance
from unblur.diffusion.self_conditioning import SelfConditioned, WithEstimate
from unblur.evaluation.ranking import validate
from unblur.training.loop import with_artefacts


def has_linear_ends(denoiser: str) -> bool:
    return issubclass(DENOISERS.get(denoiser).Network, LinearEnds)


SPLIT = communities()
MEMBERS = [name for name in models.names() if "self_condition" in models.config_class(name).model_fields]
MEMBERS = [name for name in MEMBERS if has_linear_ends(models.configure(name, {}, "test").denoiser)]
WITH_ENDS = [(denoiser, encoder) for denoiser, encoder in PAIRS if has_linear_ends(denoiser)]
B, T = 64, 6


def wrapped(
    denoiser: str = "mlp", encoder: str = "bag", normalize: bool = False, learned_null: bool = False
) -> SelfConditioned:
    network = networks.network(denoiser, encoder, (12,), normalize, learned_null, dropout=0.0)
    assert isinstance(network, LinearEnds)
    return SelfConditioned(network)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(B, N), torch.arange(B) % T, (torch.rand(B, N) < 0.3).float().to_sparse_csr()


@pytest.mark.parametrize(("denoiser", "encoder"), WITH_ENDS)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("learned_null", [False, True])
def test_without_an_estimate_it_is_the_network_inside(
    denoiser: str, encoder: str, normalize: bool, learned_null: bool, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    network = wrapped(denoiser, encoder, normalize, learned_null).eval()
    x, t, history = inputs
    with torch.no_grad():
        c = network.encode(networks.told(encoder, history))
        inside = network.inner(x, t, c)
        torch.testing.assert_close(network(x, t, c), inside, rtol=0, atol=0)
        torch.testing.assert_close(network(x, t, WithEstimate(c, torch.zeros(B, N))), inside, rtol=0, atol=0)
        assert not network(x, t, WithEstimate(c, torch.rand(B, N))).allclose(inside)


def test_in_training_half_of_the_rows_see_the_first_pass_and_it_has_no_gradient(
    inputs: tuple[Tensor, Tensor, Tensor],
) -> None:
    network, (x, t, history) = wrapped().train(), inputs
    c, shares = network.encode(WeightedRows(history)), []
    estimate = 3 * network(x, t, c).detach()
    for seed in range(20):
        torch.manual_seed(seed)
        shown = network.shown(x, t, c, lambda output: 3 * output)
        assert shown.c is c and not shown.estimate.requires_grad
        rows = shown.estimate.abs().sum(1) > 0
        torch.testing.assert_close(shown.estimate, estimate * rows.unsqueeze(1))
        shares.append(rows.float().mean().item())
    assert 0.4 < sum(shares) / len(shares) < 0.6
    network(x, t, shown).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


class Recorder(SelfConditioned):
    """Answers anything, and remembers what it was asked and shown."""

    def __init__(self) -> None:
        super().__init__(wrapped().inner)
        self.asked: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []

    def encode(self, condition: Condition) -> Any:
        return bool(condition.empty.all())

    def forward(self, x_t: Tensor, t: Tensor, c: Any) -> Tensor:
        nobody, estimate = c if isinstance(c, WithEstimate) else (c, None)
        output = torch.sin(x_t + t.unsqueeze(1) + (0 if nobody else 1))
        self.asked.append((x_t, t, output, estimate))
        return output


@pytest.mark.parametrize("prediction", PREDICTIONS.names())
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_chains_step_sees_the_guided_estimate_of_the_step_before(prediction: str, scale: float) -> None:
    process = Process(linear_variance(T, 1.0, 0.1, 0.9), T, PREDICTIONS.get(prediction)())
    network = Recorder()
    sampler = GuidedSampler(network, None, reverse_steps(process), [scale] * T, process.to_x0)
    sampler.plain(torch.randn(B, N), WeightedRows(torch.ones(B, N).to_sparse_csr()), lambda t: torch.zeros(B, N))
    per_step = 1 if scale == 1 else 2  # passes: guidance away from 1 needs the weak one too
    steps = [network.asked[i : i + per_step] for i in range(0, len(network.asked), per_step)]
    assert len(steps) == T and all(asked[3] is None for asked in steps[0])
    for before, now in pairwise(steps):
        outputs = {bool((o - torch.sin(x + t.unsqueeze(1))).abs().max() < 1e-6): o for x, t, o, _ in before}
        strong = outputs[False]
        guided = strong if scale == 1 else outputs[True] + scale * (strong - outputs[True])
        x_t, t, _, _ = before[0]
        for asked in now:
            torch.testing.assert_close(asked[3], process.to_x0(guided, x_t, t))


def test_a_network_that_does_not_ask_sees_the_chain_as_ever() -> None:
    network = wrapped().inner.eval()
    process = Process(linear_variance(T, 0.5, 0.01, 0.4), T)
    steps = reverse_steps(process)
    x, history = torch.randn(B, N), WeightedRows((torch.rand(B, N) < 0.3).float().to_sparse_csr())
    sampler = GuidedSampler(network, None, steps, [1.0] * T, process.to_x0)
    with torch.no_grad():
        c = network.encode(history)
        alone = plain_chain(x, steps, lambda x_t, t: network(x_t, torch.full((B,), t), c))
        assert sampler.plain(x, history, lambda t: torch.zeros(B, N)).equal(alone)


@pytest.mark.parametrize("name", MEMBERS)
def test_with_a_weight_of_zero_it_scores_as_the_model_without(name: str) -> None:
    """The plain chain of the one is the hidden-space chain of the other."""
    model = trained(name, SPLIT, epochs=2, self_condition=True, dims=(16,))
    plain = models.model_class(name)(model.config.model_copy(update={"self_condition": False}), 120, 40)
    state = {key.replace("network.inner.", "network."): value for key, value in model.state_dict().items()}
    plain.setup(with_artefacts(plain, SPLIT))
    plain.load_state_dict({key: value for key, value in state.items() if not key.endswith("w_estimate")})
    torch.nn.init.zeros_(model.network.w_estimate)
    found, expected = (scores(each.eval(), SPLIT, [0, 5, 9]) for each in (model, plain))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MEMBERS)
def test_the_whole_family_learns_with_it_and_is_stored(name: str, tmp_path: Any) -> None:
    model = trained(name, SPLIT, self_condition=True)
    assert validate(model, SPLIT).metrics()["recall_at_5"] > 5 * CHANCE
    model.save(tmp_path)
    assert scores(models.load(tmp_path), SPLIT, [3, 4]).equal(scores(model, SPLIT, [3, 4]))
