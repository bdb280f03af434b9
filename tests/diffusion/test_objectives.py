"""Objectives against their definitions, example by example."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.diffusion.condition import OrderedItems, WeightedRows
from unblur.diffusion.objective import Denoised
from unblur.diffusion.objectives import cross_entropy, hidden_error, preference
from unblur.diffusion.predictions import PREDICTIONS

B, N, D = 4, 6, 3


def denoised(x_0: Tensor, x_0_hat: Tensor, table: Tensor, network: Any = None) -> Denoised:
    """`network` is what another x_0 becomes."""
    none = torch.empty(0)

    def another(x_0: Tensor) -> Denoised:
        return Denoised(x_0, none, none, none, none, network(x_0))

    return Denoised(x_0, none, none, none, none, x_0_hat, None, lambda x: x @ table.T, another)


@pytest.fixture
def made() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(B, D), torch.randn(B, D), torch.randn(N, D)


@pytest.mark.parametrize("x0_weight", [0.0, 2.0])
def test_cross_entropy_is_over_all_items_beside_the_squared_error(x0_weight: float, made: Any) -> None:
    x_0, x_0_hat, table = made
    objective = cross_entropy.Objective(cross_entropy.Config(x0_weight=x0_weight), PREDICTIONS.get("x0")())
    items = torch.tensor([2, 0, 5, 5])
    found = objective(denoised(x_0, x_0_hat, table), F.one_hot(items, N).float().to_sparse_csr())
    expected = F.cross_entropy(x_0_hat @ table.T, items, reduction="none")
    torch.testing.assert_close(found, expected + x0_weight * (x_0_hat - x_0).square().mean(1))


def test_of_several_items_it_is_the_weighted_mean(made: Any) -> None:
    x_0, x_0_hat, table = made
    rows = torch.zeros(B, N)
    rows[:, 1], rows[:, 4], rows[:, 5] = 1.0, 3.0, -2.0  # what was disliked has no share
    objective = cross_entropy.Objective(cross_entropy.Config(), PREDICTIONS.get("x0")())
    found = objective(denoised(x_0, x_0_hat, table), rows.to_sparse_csr())
    of_1, of_4 = (F.cross_entropy(x_0_hat @ table.T, torch.full((B,), i), reduction="none") for i in (1, 4))
    torch.testing.assert_close(found, (of_1 + 3 * of_4) / 4)


def preferred(made: Any, **params: Any) -> Tensor:
    x_0, x_0_hat, table = made
    objective = preference.Objective(preference.Config(**params), PREDICTIONS.get("x0")())
    return objective(denoised(x_0, x_0_hat, table, lambda other: 2 * other + 1), torch.empty(0))


def distances(made: Any, distance: str) -> tuple[list[float], list[float]]:
    """L+ and L- of each example, with the centroid of the others as the negative."""
    x_0, x_0_hat, _ = made
    centroids = torch.stack([torch.cat([x_0[:i], x_0[i + 1 :]]).mean(0) for i in range(B)])

    def of(a: Tensor, b: Tensor) -> float:
        if distance == "squared":
            return float((a - b).square().mean())
        return float(1 - a @ b / (a.norm() * b.norm())) ** 2

    return [of(*each) for each in zip(x_0_hat, x_0, strict=True)], [of(2 * each + 1, each) for each in centroids]


@pytest.mark.parametrize("distance", ["cosine", "squared"])
def test_preference_has_a_sigmoid_of_each_example(distance: str, made: Any) -> None:
    found = preferred(made, distance=distance, generation_weight=0.3, preference_scale=2.0)
    pairs = zip(*distances(made, distance), strict=True)
    expected = [0.3 * good - 0.7 * math.log(1 / (1 + math.exp(2 * (good - bad)))) for good, bad in pairs]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_as_published_one_sigmoid_serves_the_batch(made: Any) -> None:
    found = preferred(made, generation_weight=0.3, preference_scale=2.0, as_published=True)
    good, bad = (sum(each) / B for each in distances(made, "cosine"))
    expected = 0.3 * good - 0.7 * math.log(1 / (1 + math.exp(2 * (good - bad))))
    torch.testing.assert_close(found, torch.full((B,), expected))
    assert not preferred(made, generation_weight=0.3, preference_scale=2.0).mean().allclose(found.mean())


@pytest.mark.parametrize("as_published", [False, True])
def test_a_share_of_one_example_or_none_is_a_batch(as_published: bool, made: Any) -> None:
    for size in (0, 1):
        small = tuple(each[:size] for each in made[:2])
        assert preferred((*small, made[2]), as_published=as_published).isfinite().all()


TOLD = torch.tensor([[0.5, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0.3, 0, 0, 0]])


@pytest.mark.parametrize("ordered", [False, True])
def test_hidden_error_counts_what_the_network_was_not_told(ordered: bool) -> None:
    """Nobody's history hides nothing of the sum, and a whole one everything."""
    torch.manual_seed(0)
    x_0, x_0_hat = torch.randn(B, N), torch.randn(B, N, requires_grad=True)
    items = torch.tensor([[N, N, N, N, 0, 3], [N] * 6, [5, 0, 1, 4, 2, 3], [N, N, N, N, N, 2]])
    told = OrderedItems(items, N) if ordered else WeightedRows(TOLD.to_sparse_csr())
    none = torch.empty(0)
    objective = hidden_error.Objective(hidden_error.Config(), PREDICTIONS.get("x0")())
    losses = objective(Denoised(x_0, none, none, none, none, x_0_hat, told), none)
    expected = ((x_0_hat - x_0).square() * (TOLD == 0)).sum(1) / N
    torch.testing.assert_close(losses, expected)
    (gradient,) = torch.autograd.grad(losses.sum(), x_0_hat)
    torch.testing.assert_close(gradient, 2 * (x_0_hat - x_0).detach() * (TOLD == 0) / N)
    assert (gradient[TOLD != 0] == 0).all()


def test_an_item_that_was_dropped_from_the_condition_counts_again() -> None:
    x_0, x_0_hat, none = torch.zeros(B, N), torch.ones(B, N), torch.empty(0)
    condition = WeightedRows(TOLD.to_sparse_csr())
    dropped = condition.keep_items(torch.arange(len(condition.places)) % 2 == 0)
    objective = hidden_error.Objective(hidden_error.Config(), PREDICTIONS.get("x0")())
    losses = objective(Denoised(x_0, none, none, none, none, x_0_hat, dropped), none)
    torch.testing.assert_close(losses, (dropped.rows.to_dense() == 0).sum(1) / N)
