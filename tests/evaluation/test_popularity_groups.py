"""Accuracy by item popularity, on cases that can be worked out by hand and against plain counting."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from unblur.evaluation.popularity_groups import GROUPS, popularity_group, recall_by_popularity


def test_groups_share_the_interactions_in_order_of_popularity() -> None:
    assert popularity_group(np.array([1, 4, 4, 1, 1, 1, 0])).tolist() == [2, 0, 1, 2, 2, 2, 2]


def test_every_group_holds_about_a_third() -> None:
    counts = np.random.default_rng(0).zipf(1.5, 500).clip(max=300)
    groups = popularity_group(counts)
    held = np.bincount(groups, weights=counts, minlength=3) / counts.sum()
    assert np.abs(held - 1 / 3).max() <= counts.max() / counts.sum()
    assert (
        counts[groups == 0].min() >= counts[groups == 1].max() >= counts[groups == 1].min() >= counts[groups == 2].max()
    )


def test_recall_of_each_group_is_over_its_own_held_out_items() -> None:
    counts = np.array([9, 3, 3, 3])  # head 0, middle 1, tail 2 and 3
    assert popularity_group(counts).tolist() == [0, 1, 2, 2]
    truth = csr_matrix(np.array([[1, 0, 1, 1], [1, 0, 0, 0]]))
    items = np.array([[0, 2, -1], [1, 2, 0]])
    assert recall_by_popularity(items, truth, counts, k=2) == {"recall_at_2_head": 0.5, "recall_at_2_tail": 0.5}


def test_it_agrees_with_plain_counting() -> None:
    rng = np.random.default_rng(1)
    truth = csr_matrix(random_array((40, 60), density=0.1, rng=rng) > 0)
    items = np.stack([rng.permutation(60)[:20] for _ in range(40)])
    counts = rng.integers(0, 50, 60)
    groups, expected = popularity_group(counts), {}
    for number, name in enumerate(GROUPS):
        own = [(set(truth[u].indices), set(items[u, :10])) for u in range(40)]
        own = [({i for i in held if groups[i] == number}, shown) for held, shown in own]
        expected[f"recall_at_10_{name}"] = np.mean([len(held & shown) / len(held) for held, shown in own if held])
    assert recall_by_popularity(items, truth, counts) == pytest.approx(expected)
