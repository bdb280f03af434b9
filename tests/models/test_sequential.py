"""Models that read a history in its order: what they learn from, and what they look at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.promises import Broken, breaks, leaves_users_out
from tests.helpers.synthetic import chains

from unblur import models
from unblur.data.sequences import Sequences
from unblur.evaluation.ranking import validate
from unblur.models.sequential._next_item import LOSSES, NextItem
from unblur.models.sequential._windows import Windows

NAMES = [name for name in models.names() if issubclass(models.model_class(name), NextItem)]
DATA = chains()


def made(name: str, **params: object) -> NextItem:
    config = models.configure(name, {"dim": 16, "max_length": 8, "batch_size": 16, **params}, "test")
    model: NextItem = models.model_class(name)(config, DATA.n_users, DATA.n_items)
    return model.eval()


def losses_of(model: NextItem, rank: int = 0, world: int = 1) -> tuple[torch.Tensor, int]:
    """The losses of an epoch, batch after batch, and how many there are over all ranks."""
    batches = list(model.batches(DATA, 0, rank, world))
    return torch.cat([model(batch.examples) for batch in batches]), sum(batch.size for batch in batches)


@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8), length=st.integers(1, 5), size=st.integers(1, 4))
def test_every_item_but_a_users_first_is_a_target_once(lengths: list[int], length: int, size: int) -> None:
    """Items are numbered through, so that the item before each and its user are known by its number."""
    indptr = np.cumsum([0, *lengths])
    n = int(indptr[-1])
    windows = Windows.cut(Sequences.ragged(np.arange(n), indptr, n), length)
    seen = []
    for rows in windows.batches(size, np.random.default_rng(0)):
        assert len(rows) <= size
        for bucket in windows.buckets(rows):
            inputs, targets = windows.padded(bucket)
            real = inputs < n
            assert inputs.shape == targets.shape and inputs.shape[1] <= length
            assert (real.sum(1) * 2 > inputs.shape[1]).all(), "less than half of a row is padding"
            assert (real == (targets < n)).all() and (targets[real] == inputs[real] + 1).all()
            assert (np.diff(real.astype(int), axis=1) >= 0).all(), "padding lies on the left"
            seen += targets[real].tolist()
    assert sorted(seen) == sorted(set(range(n)) - set(indptr[:-1].tolist()))


def test_an_epoch_repeats_itself_and_the_next_differs() -> None:
    model = made("sasrec")
    first, again, other = ([b.examples[-1].items for b in model.batches(DATA, epoch)] for epoch in (0, 0, 1))
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not all(a.equal(b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_workers_share_what_one_would_do(name: str) -> None:
    model = made(name)
    whole, size = losses_of(model)
    shares = [losses_of(model, rank, 20) for rank in range(20)]  # more than there are windows in a batch
    assert size == len(whole) == sum(len(losses) for losses, _ in shares) and {s for _, s in shares} == {size}
    torch.testing.assert_close(sum(losses.sum() for losses, _ in shares), whole.sum())


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_without_a_share_takes_part(name: str) -> None:
    """In the last batch of an epoch; the others wait for its gradients."""
    model = made(name)
    empty = next(model.batches(DATA, 0, rank=19, world=20))
    assert empty.size > 0
    model(empty.examples).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_no_place_sees_what_comes_after_it(name: str) -> None:
    model, items = made(name), torch.tensor([[DATA.n_items, 1, 2, 3, 4, 5]])
    later = torch.tensor([[DATA.n_items, 1, 2, 3, 9, 8]])
    with torch.no_grad():
        first, second = model.encode(items), model.encode(later)
    torch.testing.assert_close(first[:, 1:4], second[:, 1:4])
    assert not first[:, 4:].allclose(second[:, 4:])


LEARNERS = [("sasrec", loss) for loss in LOSSES.names()] + [("gru4rec", "cross_entropy")]


@pytest.mark.parametrize(("name", "loss"), LEARNERS)
def test_it_learns_what_follows_what(name: str, loss: str) -> None:
    """Every item has one successor."""
    model = made(name, loss=loss, negatives=4, lr=0.01, dropout=0.0).train()
    torch.manual_seed(0)
    optimizer = model.optimizer()
    for epoch in range(60):
        for batch in model.batches(DATA, epoch):
            optimizer.zero_grad()
            model(batch.examples).mean().backward()
            optimizer.step()
    assert validate(model, DATA).metrics()["recall_at_1"] > 0.8


@pytest.mark.parametrize("promise", breaks)
@pytest.mark.parametrize("name", NAMES)
def test_promises(name: str, promise: str) -> None:
    assert not breaks[promise](made(name), DATA)


@pytest.mark.parametrize("promise", breaks)
def test_each_promise_fails_on_a_model_that_breaks_it(promise: str) -> None:
    config = made("sasrec").config
    broken = Broken(config, DATA.n_users, DATA.n_items, breaks=promise).eval()
    assert breaks[promise](broken, DATA)


def test_metrics_are_of_all_users() -> None:
    model = made("sasrec")
    assert not leaves_users_out(validate(model, DATA), DATA)
    assert leaves_users_out(validate(model, DATA, np.arange(DATA.n_users // 10 * 10)), DATA)  # no incomplete batch
