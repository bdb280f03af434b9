import torch

from unblur.diffusion.guidance import drop_items, drop_rows, guide, guided


def test_scale_one_is_conditional_zero_unconditional_and_the_rest_lies_on_their_line() -> None:
    passes = []

    def predict(condition: str | None) -> torch.Tensor:
        passes.append(condition)
        return torch.tensor([3.0]) if condition else torch.tensor([1.0])

    assert guided(predict, "c", 1.0) == 3 and passes == ["c"]
    assert guided(predict, "c", 0.0) == 1 and passes == ["c", None]
    assert guided(predict, None, 2.5) == 1
    assert guided(predict, "c", 2.0) == 5 == guide(torch.tensor(1.0), torch.tensor(3.0), 2.0)


def test_dropout_of_rows_and_items_keeps_their_shares() -> None:
    torch.manual_seed(0)
    dense = torch.ones(2_000, 20)
    rows = drop_rows(dense.to_sparse_csr(), 0.3).to_dense()
    assert set(rows.sum(1).tolist()) == {0.0, 20.0}
    assert abs(rows.mean() - 0.7) < 0.03
    items = drop_items(dense.to_sparse_csr(), 0.4).to_dense()
    assert abs(items.mean() - 0.6) < 0.02 and 0 < items.sum(1).std() < 4
    assert drop_rows(dense.to_sparse_csr(), 0).to_dense().equal(dense)
