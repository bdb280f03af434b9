from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.nn.clustered_vae import ClusteredVAE, shares

N = 30


def codec(out_dims: tuple[int, ...] = (), n_groups: int = 3) -> ClusteredVAE:
    torch.manual_seed(0)
    made = ClusteredVAE(N, n_groups, (12,), out_dims)
    made.regroup(torch.randint(n_groups, (N,)))
    return made


@given(st.lists(st.integers(1, 500), min_size=1, max_size=5), st.integers(25, 400))
def test_shares_add_up_and_none_is_empty(sizes: list[int], dim: int) -> None:
    result = shares(sorted(sizes), dim)
    assert sum(result) == dim and min(result) >= 1
    assert all(
        abs(share - size / sum(sizes) * dim) <= len(sizes) for share, size in zip(result, sorted(sizes), strict=True)
    )


def test_a_groups_items_move_only_their_share_of_the_latent() -> None:
    made, x = codec(), torch.rand(4, N)
    ends = torch.tensor(shares(made.sizes, 12)).cumsum(0).tolist()
    with torch.no_grad():
        before = torch.stack(made.encode(x))
        for g, (start, end) in enumerate(pairwise([0, *ends])):
            changed = torch.stack(made.encode(x + (made.groups == g)))
            moved = (changed != before).any(dim=0).any(dim=0)
            assert moved[start:end].all() and not moved[:start].any() and not moved[end:].any()


def test_decoders_of_groups_answer_in_the_items_own_order() -> None:
    made, z = codec(out_dims=(8,)), torch.randn(4, 12)
    starts = [0, *torch.tensor(shares(made.sizes, 12)).cumsum(0).tolist()]
    with torch.no_grad():
        before = made.decode(z)
        assert before.shape == (4, N)
        for g in range(3):
            part = z.clone()
            part[:, starts[g] : starts[g + 1]] += 1
            assert ((made.decode(part) != before).all(dim=0) == (made.groups == g)).all()


def test_a_state_brings_its_groups_and_the_optimiser_keeps_its_parameters() -> None:
    trained, other = codec(out_dims=(8,)), ClusteredVAE(N, 3, (12,), (8,))
    optimizer = torch.optim.SGD(other.parameters(), lr=1.0)
    other.load_state_dict(trained.state_dict())
    x = torch.rand(4, N)
    for ours, theirs in zip(other.encode(x), trained.encode(x), strict=True):
        assert ours.equal(theirs)
    other.decode(other.encode(x)[0]).sum().backward()
    optimizer.step()
    assert not other.encode(x)[0].equal(trained.encode(x)[0])


@pytest.mark.parametrize(("n_items", "dims", "millions"), [(2_810, 300, 1.7), (94_949, 300, 57)])
def test_parameters_do_not_depend_on_how_the_items_are_grouped(n_items: int, dims: int, millions: float) -> None:
    """Two layers between the items and the latent: n_items * dims each, whatever the groups, up to the biases."""
    made = ClusteredVAE(n_items, 2, (dims,), ())
    assert sum(p.numel() for p in made.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)
