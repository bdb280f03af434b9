from collections import deque

import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.diffusion.step_sampling import KEPT, StepSampler


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 10, width=32)), max_size=40), max_size=6))
def test_the_scatter_keeps_the_last_ten_of_each_step_as_a_loop_would(batches: list) -> None:
    sampler, queues = StepSampler(4, importance=True), [deque(maxlen=KEPT) for _ in range(4)]
    for batch in batches:
        sampler.record(
            torch.tensor([t for t, _ in batch], dtype=torch.int64), torch.tensor([loss for _, loss in batch])
        )
        for t, loss in batch:
            queues[t].append(loss)
    for kept, queue in zip(sampler.losses, queues, strict=True):
        assert sorted(kept.tolist())[KEPT - len(queue) :] == sorted(queue)


def test_uniform_until_every_step_has_ten_then_by_root_mean_square() -> None:
    sampler = StepSampler(2, importance=True)
    sampler.record(torch.zeros(KEPT, dtype=torch.int64), torch.full((KEPT,), 3.0))
    assert sampler.probabilities().tolist() == [0.5, 0.5]
    sampler.record(torch.ones(KEPT, dtype=torch.int64), torch.full((KEPT,), 1.0))
    torch.testing.assert_close(sampler.probabilities(), torch.tensor([0.75, 0.25]) * 0.999 + 0.0005)


def test_a_step_of_unequal_losses_weighs_by_their_root_mean_square() -> None:
    sampler = StepSampler(2, importance=True)
    sampler.record(torch.zeros(KEPT, dtype=torch.int64), torch.tensor([0.0, 2.0]).repeat(KEPT // 2))
    sampler.record(torch.ones(KEPT, dtype=torch.int64), torch.ones(KEPT))
    expected = torch.tensor([2**0.5, 1.0]) / (1 + 2**0.5) * 0.999 + 0.0005
    torch.testing.assert_close(sampler.probabilities(), expected)


def test_the_divided_loss_has_the_mean_of_uniform_sampling() -> None:
    torch.manual_seed(0)
    sampler, losses = StepSampler(3, importance=True), torch.tensor([1.0, 2.0, 5.0])
    sampler.record(torch.arange(3).repeat(KEPT), losses.repeat(KEPT))
    t, spread = sampler.draw(20_000)
    assert abs((losses[t] / spread).mean() - losses.mean()) < 0.01
    assert torch.bincount(t)[2] > torch.bincount(t)[0] * 3


def test_uniform_sampling_divides_by_one() -> None:
    t, spread = StepSampler(3, importance=False).draw(300)
    assert set(t.tolist()) == {0, 1, 2} and (spread == 1).all()
