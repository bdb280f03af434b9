"""TDM's removals: what is continuous and stable, against the definition, and how much is lost."""

import math

import torch

from unblur.diffusion.condition import OrderedItems
from unblur.pairings import thompson

N = 6
ITEMS = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])


def told(*histories: list[int]) -> OrderedItems:
    width = max(map(len, histories))
    return OrderedItems(torch.tensor([[N] * (width - len(each)) + each for each in histories]), N)


def test_continuity_and_stability_are_their_definitions() -> None:
    continuity, stability = thompson.uncertainty(told([0, 1, 2], [0, 3], [4], [5, 2, 4, 0]), ITEMS)
    cosines = {0: [1.0, 0.0], 1: [-1.0], 2: [], 3: [math.sqrt(0.5), 1.0, 0.0]}
    entropies = []
    for row, values in cosines.items():
        total = sum(map(math.exp, values))
        shares = [math.exp(value) / total for value in values]
        torch.testing.assert_close(continuity[row], torch.tensor([0.0] * (3 - len(shares)) + shares))
        entropies.append(-sum(share * math.log(share) for share in shares))
    torch.testing.assert_close(stability, torch.tensor(entropies).softmax(0))


def removed(p1: float, p2: float, rows: int = 4000) -> torch.Tensor:
    torch.manual_seed(0)
    pairing = thompson.Pairing(thompson.Config(history_removal=p1, item_removal=p2))
    condition = pairing.corrupt(told(*[[0, 1, 2, 3, 4]] * rows), ITEMS)
    return condition.tensor


def test_rates_are_the_means_and_the_newest_item_is_never_lost() -> None:
    left = removed(0.5, 0.25)
    lost = (left == N).sum(1)
    assert (left[:, -1] == 4).all()
    # of 4 items 1 is lost in the mean, in half of the histories
    assert abs(float(lost.float().mean()) - 0.5) < 0.05
    assert 0.5 < float((lost == 0).float().mean()) < 0.8


def test_what_continues_better_is_lost_more_often() -> None:
    left = removed(1.0, 0.2)
    shares = [float((left == item).any(1).float().mean()) for item in range(4)]
    continuity, _ = thompson.uncertainty(told([0, 1, 2, 3, 4]), ITEMS)
    for share, own in zip(shares, continuity[0].tolist(), strict=True):
        assert abs((1 - share) - 0.2 * 4 * own) < 0.03


def test_with_a_rate_of_zero_nothing_is_lost() -> None:
    assert not (removed(0.0, 1.0) == N).any() and not (removed(1.0, 0.0) == N).any()


def test_histories_of_one_item_or_none_are_left_as_they_are() -> None:
    pairing = thompson.Pairing(thompson.Config(history_removal=1.0, item_removal=1.0))
    for condition in (told([3], [2]), OrderedItems(torch.full((2, 1), N), N), OrderedItems(torch.full((0, 3), N), N)):
        assert pairing.corrupt(condition, ITEMS).tensor.equal(condition.tensor)
