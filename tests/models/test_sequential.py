"""Models that read a history in its order: what they learn from, and what they look at."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.promises import Broken, breaks, leaves_users_out
from tests.helpers.synthetic import chains
from torch.nn import functional as F

from unblur import models
from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.evaluation.ranking import validate
from unblur.models.sequential._next_item import NextItem
from unblur.models.sequential._sequence_model import LOSSES, SequenceModel, Window

NAMES = [name for name in models.names() if issubclass(models.model_class(name), SequenceModel)]
FORWARDS = [name for name in NAMES if issubclass(models.model_class(name), NextItem)]
DATA = chains()


def made(name: str, **params: object) -> SequenceModel:
    config = models.configure(name, {"dim": 16, "max_length": 8, "batch_size": 16, **params}, "test")
    model: SequenceModel = models.model_class(name)(config, DATA.n_users, DATA.n_items)
    return model.eval()


def losses_of(model: SequenceModel, rank: int = 0, world: int = 1) -> tuple[torch.Tensor, int]:
    """The losses of an epoch, batch after batch, and how many there are over all ranks."""
    batches = list(model.batches(DATA, 0, rank, world))
    return torch.cat([model(batch.examples) for batch in batches]), sum(batch.size for batch in batches)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_read_in_groups_of_which_less_than_half_is_padding(name: str) -> None:
    for batch in made(name).batches(DATA, 0):
        for items, targets in batch.examples:
            real = items != DATA.n_items
            assert items.shape == targets.shape and (real.sum(1) * 2 > items.shape[1]).all()
            assert (real | (targets == DATA.n_items)).all(), "nothing is asked for where there is nothing"


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


@pytest.mark.parametrize("name", FORWARDS)
def test_no_place_sees_what_comes_after_it(name: str) -> None:
    model, items = made(name), torch.tensor([[DATA.n_items, 1, 2, 3, 4, 5]])
    later = torch.tensor([[DATA.n_items, 1, 2, 3, 9, 8]])
    with torch.no_grad():
        first, second = model.encode(items), model.encode(later)
    torch.testing.assert_close(first[:, 1:4], second[:, 1:4])
    assert not first[:, 4:].allclose(second[:, 4:])


def test_bert4rec_looks_both_ways() -> None:
    model = made("bert4rec")
    rows = [[1, 2, model.masked, 3, 4], [9, 2, model.masked, 3, 4], [1, 2, model.masked, 3, 9]]
    with torch.no_grad():
        here, before, after = model.encode(torch.tensor(rows))[:, 2]
    assert not here.allclose(before) and not here.allclose(after)


@given(lengths=st.lists(st.integers(2, 8), min_size=1), share=st.floats(0.05, 1), last=st.sampled_from([0.0, 0.5, 1.0]))
def test_bert4rec_asks_for_what_it_masks_and_for_nothing_else(lengths: list[int], share: float, last: float) -> None:
    model = made("bert4rec", mask_share=share, last_share=last)
    items = np.full((len(lengths), max(lengths)), DATA.n_items)
    for row, n in zip(items, lengths, strict=True):
        row[-n:] = np.arange(n)
    read, asked = model.examples(items, np.random.default_rng(0))
    masked = read == model.masked
    assert (asked < DATA.n_items).tolist() == masked.tolist(), "no loss elsewhere"
    assert (np.where(masked, asked, read) == items).all()
    wanted = np.maximum(1, np.rint(share * np.array(lengths)))
    alone = masked[:, -1] & (masked.sum(1) == 1)
    assert (alone | (masked.sum(1) == wanted)).all() and (alone.all() or last < 1)


def test_bert4rec_masks_anew_in_each_epoch_any_place_as_likely() -> None:
    model = made("bert4rec", mask_share=0.5, last_share=0.0)
    rng = np.random.default_rng(0)
    counts = sum((model.examples(np.arange(6)[None], rng)[0] == model.masked)[0].astype(int) for _ in range(2000))
    assert (abs(counts / 2000 - 0.5) < 0.05).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_at_the_end_in_training_is_what_is_scored(name: str) -> None:
    model = made(name, **({"last_share": 1.0} if name == "bert4rec" else {}))
    *before, last = [3, 7, 5, 6]
    read, asked = model.examples(np.array([[*before, last]]), np.random.default_rng(0))
    history = History.of(Sequences.ragged(np.array(before), np.array([0, len(before)]), DATA.n_items))
    with torch.no_grad():
        loss = model([Window(torch.from_numpy(read), torch.from_numpy(asked))])[-1]
    expected = F.cross_entropy(model.score(history, np.zeros(1, dtype=np.int64)), torch.tensor([last]))
    torch.testing.assert_close(loss, expected)


LEARNERS = [("sasrec", loss) for loss in LOSSES.names()] + [("gru4rec", "cross_entropy"), ("bert4rec", "cross_entropy")]


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
    assert validate(model, DATA).metrics()["recall_at_1"] > 0.6  # chance: .05; the slowest: .78


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
