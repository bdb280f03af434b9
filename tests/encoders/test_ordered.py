"""What every encoder promises that reads a history in its order; and the learned vector of an empty one."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from unblur.diffusion.condition import EveryPlace, OrderedItems, WeightedRows
from unblur.encoders import ENCODERS
from unblur.encoders._null import LearnedNullVector

N = 20
ORDERED = [name for name in ENCODERS.names() if ENCODERS.get(name).Encoder.newest(ENCODERS.get(name).Config())]
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def made(name: str, **params: Any) -> Any:
    torch.manual_seed(0)
    module = ENCODERS.get(name)
    return module.Encoder(N, module.Config(embedding_dim=8, max_length=6, **params)).eval()


def padded(*histories: list[int]) -> torch.Tensor:
    width = max(1, *map(len, histories))
    return torch.tensor([[N] * (width - len(each)) + each for each in histories])


def test_there_is_one() -> None:
    assert "transformer" in ORDERED


@pytest.mark.parametrize("name", ORDERED)
def test_order_matters_and_padding_and_batch_mates_do_not(name: str) -> None:
    encoder, histories = made(name), ([1, 2, 3, 4], [2, 1, 3, 4], [7], [], [5, 6, 7, 8, 9, 10])
    with torch.no_grad():
        together = encoder(padded(*histories))
        torch.testing.assert_close(together, torch.cat([encoder(padded(each)) for each in histories]), **CLOSE)
        torch.testing.assert_close(together, encoder(F.pad(padded(*histories), (5, 0), value=N)), **CLOSE)
    assert not together[0].allclose(together[1], **CLOSE), "two early items were exchanged"
    assert not together[3].any(), "the vector of an empty history is 0"


@pytest.mark.parametrize("name", ORDERED)
def test_all_places_of_a_history_are_read_as_each_alone(name: str) -> None:
    encoder = made(name)
    condition = EveryPlace.of(padded([1, 2, 3, 4], [7], [], [2, 1, 3, 4, 9]), N)
    for told in (condition, condition.keep(torch.arange(10) % 3 > 0)):
        with torch.no_grad():
            torch.testing.assert_close(encoder.read(told), encoder.read(OrderedItems(told.tensor, N)), **CLOSE)


@pytest.mark.parametrize("name", ORDERED)
def test_a_batch_of_nobody_or_of_empty_histories_is_a_batch(name: str) -> None:
    """Workers without a share take part, and the unconditional pass tells nothing of anybody."""
    encoder = made(name)
    for empty in (torch.full((0, 1), N), torch.full((3, 4), N)):
        encoder.zero_grad()
        encoder(empty).sum().backward()
        assert all(p.grad is not None and not p.grad.any() for p in encoder.parameters())


@pytest.mark.parametrize("name", ORDERED)
def test_more_heads_than_divide_the_width_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="heads = 3 does not divide embedding_dim = 8"):
        made(name, heads=3)


@pytest.mark.parametrize("name", [name for name in ENCODERS.names() if name != "none"])
def test_a_learned_null_stands_for_empty_histories_alone(name: str) -> None:
    module = ENCODERS.get(name)
    config = module.Config()
    torch.manual_seed(0)
    encoder, size = module.Encoder(N, config).eval(), module.Encoder.size(N, config)
    histories = [[3, 1], [], [2]]
    if name in ORDERED:
        condition = OrderedItems(padded(*histories), N)
    else:
        condition = WeightedRows(F.one_hot(padded(*histories), N + 1).sum(1)[:, :N].float().to_sparse_csr())
    learned, plain = LearnedNullVector(encoder, size), encoder.read(condition)
    plain = plain.to_dense() if plain.is_sparse_csr else plain
    vectors = learned.read(condition)
    assert vectors[[0, 2]].equal(plain[[0, 2]]) and vectors[1].equal(learned.null) and not plain[1].any()
    vectors.sum().backward()
    assert learned.null.grad is not None and (learned.null.grad == 1).all()
