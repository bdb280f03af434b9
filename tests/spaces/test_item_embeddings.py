"""Item embeddings: what is diffused, how it scores, and where gradients go."""

import pytest
import torch

from unblur.spaces import item_embeddings

N, D = 7, 4


@pytest.fixture
def space() -> item_embeddings.Space:
    torch.manual_seed(0)
    return item_embeddings.Space(N, item_embeddings.Config(embedding_dim=D))


def rows(*weights: dict[int, float]) -> torch.Tensor:
    dense = torch.zeros(len(weights), N)
    for row, items in zip(dense, weights, strict=True):
        for item, weight in items.items():
            row[item] = weight
    return dense.to_sparse_csr()


def test_x_0_is_the_embedding_or_the_weighted_mean_of_several(space: item_embeddings.Space) -> None:
    x_0 = space.target(rows({3: 1.0}, {3: 0.2}, {1: 1.0, 4: 3.0})).x_0
    expected = torch.stack([space.items[3], space.items[3], (space.items[1] + 3 * space.items[4]) / 4])
    torch.testing.assert_close(x_0, expected)


def test_gradients_reach_the_targets_and_no_other_item(space: item_embeddings.Space) -> None:
    space.target(rows({3: 1.0}, {5: 1.0})).x_0.sum().backward()
    moved = space.items.grad.abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [3, 5]


def test_scores_are_inner_products_and_a_chain_starts_from_nothing_of_the_history(space: item_embeddings.Space) -> None:
    x_0 = torch.randn(2, D)
    torch.testing.assert_close(space.scores(x_0), x_0 @ space.items.T)
    assert space.start(rows({3: 1.0}, {})).equal(torch.zeros(2, D))


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_embeddings_begin_as_normal_with_their_deviation(std: float) -> None:
    torch.manual_seed(0)
    items = item_embeddings.Space(2000, item_embeddings.Config(embedding_dim=16, item_std=std)).items
    assert abs(float(items.detach().mean())) < 0.03 * std and abs(float(items.detach().std()) / std - 1) < 0.03
