from itertools import pairwise

import pytest
import torch

from unblur.nn.sparse import dropped, row_softmax, row_sums, with_values


def ragged() -> torch.Tensor:
    torch.manual_seed(0)
    rows = (torch.rand(5, 12) < 0.5).double()
    rows[3] = 0
    return rows.to_sparse_csr()


def test_row_softmax_is_the_softmax_of_each_row_weighed_by_its_values() -> None:
    csr = ragged()
    values = torch.rand(csr.values().shape, dtype=torch.float64)
    values[:2] = 0  # absent
    csr, scores = with_values(csr, values), 50 * torch.randn(len(values), 3, dtype=torch.float64)
    ours, pointers = row_softmax(csr, scores), csr.crow_indices().tolist()
    for start, end in pairwise(pointers):
        expected = torch.softmax(scores[start:end] + values[start:end, None].log(), dim=0)
        torch.testing.assert_close(ours[start:end], expected)
    sums = row_sums(csr, ours)
    torch.testing.assert_close(sums, (csr.to_dense().sum(1) > 0).double()[:, None].expand(-1, 3))


def test_a_row_of_absent_items_attends_to_nothing() -> None:
    csr = with_values(ragged(), torch.zeros_like(ragged().values()))
    assert (row_softmax(csr, torch.randn(len(csr.values()), 2, dtype=torch.float64)) == 0).all()


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.full((400, 500), 2.0)
    result = dropped(x, 0.3)
    assert abs((result == 0).float().mean() - 0.3) < 0.01
    torch.testing.assert_close(result.unique(), torch.tensor([0.0, 2 / 0.7]))
    assert abs(result.mean() - 2) < 0.02
    assert dropped(x, 0.0) is x


@pytest.mark.parametrize("probability", [0.1, 0.37, 1e-4])
def test_dropped_entries_are_independent_and_as_many_as_asked(probability: float) -> None:
    torch.manual_seed(1)
    dropped_from = (dropped(torch.ones(1200, 1001), probability) == 0).double()
    n = dropped_from.numel()
    assert abs(dropped_from.mean() - probability) < 5 * (probability * (1 - probability) / n) ** 0.5 + 2**-17
    for lag in (1, 2, 3, 4, 5):  # four neighbours share one random number
        both = (dropped_from[:, lag:] * dropped_from[:, :-lag]).mean()
        assert abs(both - probability**2) < 5 * probability / n**0.5 + 1e-6


def test_dropout_lets_gradients_through_where_it_kept() -> None:
    x = torch.ones(3, 7, requires_grad=True)
    result = dropped(x, 0.5)
    result.sum().backward()
    assert x.grad is not None and x.grad.equal(result.detach())
