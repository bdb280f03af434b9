"""Self-conditioning (Chen et al. 2022): what the network is shown, when, and that nothing else changes."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from tests.helpers.synthetic import communities
from tests.models.test_contract import CHANCE, scores, trained
from torch import Tensor

import unblur.denoisers
from unblur import models
from unblur.denoisers.base import Denoiser, LearnedNull, LinearEnds, SelfConditioned
from unblur.diffusion.process import Process
from unblur.diffusion.sampling import plain_chain, reverse_steps
from unblur.diffusion.schedules import linear_variance
from unblur.evaluation.ranking import validate
from unblur.models.diffusion._reverse import Reverse

SPLIT = communities()
MEMBERS = [name for name in models.names() if "self_condition" in models.config_class(name).model_fields]
B, N, T = 64, 30, 6


def wrapped(name: str = "concat", normalize: bool = False, learned_null: bool = False) -> SelfConditioned:
    torch.manual_seed(0)
    network = unblur.denoisers.build(name, N, (12,), dropout=0.0, normalize=normalize)
    assert isinstance(network, LinearEnds)
    return SelfConditioned(LearnedNull(network) if learned_null else network)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(B, N), torch.arange(B) % T, (torch.rand(B, N) < 0.3).float().to_sparse_csr()


@pytest.mark.parametrize("name", ["mlp", "concat", "embedding", "cross_attention", "self_attention", "transformer"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("learned_null", [False, True])
def test_without_an_estimate_it_is_the_network_inside(
    name: str, normalize: bool, learned_null: bool, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    network = wrapped(name, normalize, learned_null).eval()
    with torch.no_grad():
        inside = network.inner(*inputs)
        torch.testing.assert_close(network(*inputs), inside, rtol=0, atol=0)
        torch.testing.assert_close(network(*inputs, estimate=torch.zeros(B, N)), inside, rtol=0, atol=0)
        assert not network(*inputs, estimate=torch.rand(B, N)).allclose(inside)


def test_in_training_half_of_the_rows_see_the_first_pass_and_it_has_no_gradient(
    inputs: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, seen = wrapped().train(), []
    original = SelfConditioned.forward

    def spied(self: SelfConditioned, x: Tensor, t: Tensor, c: Tensor | None, estimate: Tensor | None = None) -> Tensor:
        seen.append((torch.is_grad_enabled(), estimate))
        return original(self, x, t, c, estimate)

    monkeypatch.setattr(SelfConditioned, "forward", spied)
    shares = []
    for seed in range(20):
        torch.manual_seed(seed)
        output = network.training_output(*inputs, lambda output: 3 * output)
        (first_grad, first), (second_grad, second) = seen[-2:]
        assert (first_grad, first, second_grad) == (False, None, True)
        assert second is not None and not second.requires_grad
        with torch.no_grad():
            estimate = 3 * original(network, *inputs)
            torch.testing.assert_close(output, original(network, *inputs, second))
        shown = second.abs().sum(1) > 0
        torch.testing.assert_close(second, estimate * shown.unsqueeze(1))
        shares.append(shown.float().mean().item())
    assert 0.4 < sum(shares) / len(shares) < 0.6
    output.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


class Recorder(Denoiser):
    """Answers anything, and remembers what it was asked and shown."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None, estimate: Tensor | None = None) -> Tensor:
        output = torch.sin(x_t + t.unsqueeze(1) + (0 if condition is None else 1))
        self.asked.append((x_t, t, output, estimate))
        return output

    def knowing(self, estimate: Tensor | None) -> Any:
        return partial(self, estimate=estimate)


@pytest.mark.parametrize("prediction", ["x0", "eps", "v"])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_chains_step_sees_the_guided_estimate_of_the_step_before(prediction: Any, scale: float) -> None:
    process, network = Process(linear_variance(T, 1.0, 0.1, 0.9), T), Recorder()
    to_x0 = partial(process.to_x0, prediction)
    reverse = Reverse(network, None, reverse_steps(process, prediction), lambda t: scale, to_x0)
    condition = torch.ones(B, N)
    reverse.plain(torch.randn(B, N), condition, lambda t: torch.zeros(B, N))
    per_step = 1 if scale == 1 else 2  # passes: guidance away from 1 needs the weak one too
    steps = [network.asked[i : i + per_step] for i in range(0, len(network.asked), per_step)]
    assert len(steps) == T and all(asked[3] is None for asked in steps[0])
    for before, now in pairwise(steps):
        outputs = {bool((o - torch.sin(x + t.unsqueeze(1))).abs().max() < 1e-6): o for x, t, o, _ in before}
        strong = outputs[False]
        guided = strong if scale == 1 else outputs[True] + scale * (strong - outputs[True])
        x_t, t, _, _ = before[0]
        for asked in now:
            torch.testing.assert_close(asked[3], to_x0(guided, x_t, t))


def test_a_network_that_does_not_ask_sees_the_chain_as_ever() -> None:
    network = wrapped().inner.eval()
    process = Process(linear_variance(T, 0.5, 0.01, 0.4), T)
    steps = reverse_steps(process, "x0")
    x, condition = torch.randn(B, N), (torch.rand(B, N) < 0.3).float().to_sparse_csr()
    reverse = Reverse(network, None, steps, lambda t: 1.0, partial(process.to_x0, "x0"))
    with torch.no_grad():
        alone = plain_chain(x, steps, lambda x_t, t: network(x_t, torch.full((B,), t), condition))
        assert reverse.plain(x, condition, lambda t: torch.zeros(B, N)).equal(alone)


@pytest.mark.parametrize("name", MEMBERS)
def test_with_a_weight_of_zero_it_scores_as_the_model_without(name: str) -> None:
    """The plain chain of the one is the hidden-space chain of the other."""
    model = trained(name, SPLIT, epochs=2, self_condition=True, dims=(16,))
    plain = models.model_class(name)(model.config.model_copy(update={"self_condition": False}), 120, 40)
    state = {key.replace("network.inner.", "network."): value for key, value in model.state_dict().items()}
    plain.setup(SPLIT)
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
