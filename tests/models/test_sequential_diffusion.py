"""Diffusion on item embeddings, guided by a history in its order: promises, chains, and what is learned."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.promises import BrokenDiffusion, known, of_diffusion
from tests.helpers.synthetic import chains

from unblur import models
from unblur.diffusion.condition import EveryPlace, OrderedItems
from unblur.diffusion.guided_sampler import GuidedSampler
from unblur.diffusion.samplers import SAMPLERS
from unblur.evaluation.ranking import validate
from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.training.loop import TrainingSchedule, fit

DATA = chains()
RECIPES = [
    name
    for name in models.names()
    if issubclass(models.config_class(name), DiffusionConfig)
    and models.configure(name, {}, "test").space == "item_embeddings"
]
SMALL: dict[str, Any] = {"embedding_dim": 16, "max_length": 8, "blocks": 1, "batch_size": 32, "T": 20, "noise_max": 0.4}


def made(name: str, **params: Any) -> DiffusionRecommender:
    config = models.configure(name, {**SMALL, **params}, "test")
    model: DiffusionRecommender = models.model_class(name)(config, DATA.n_users, DATA.n_items)
    return model.eval()


def test_there_are_such_recipes() -> None:
    assert "dreamrec" in RECIPES


@pytest.mark.parametrize("promise", of_diffusion)
@pytest.mark.parametrize("name", RECIPES)
def test_promises(name: str, promise: str) -> None:
    assert not of_diffusion[promise](made(name, **guided(name)), DATA)


@pytest.mark.parametrize("promise", of_diffusion)
def test_each_promise_fails_on_a_model_that_breaks_it(promise: str) -> None:
    config = made("dreamrec", **guided("dreamrec")).config
    assert of_diffusion[promise](BrokenDiffusion(config, DATA.n_users, DATA.n_items, breaks=promise).eval(), DATA)


@pytest.mark.parametrize("name", RECIPES)
def test_a_worker_without_a_share_takes_part(name: str) -> None:
    """In the last batch of an epoch; the others wait for its gradients."""
    model = made(name, **guided(name)).train()
    empty = next(model.batches(DATA, 0, rank=39, world=40))
    assert empty.size > 0 and len(empty.examples.condition.empty) == 0
    model(empty.examples).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("name", RECIPES)
def test_workers_have_the_whole_batch_between_them(name: str) -> None:
    model = made(name)
    whole = [(batch.size, batch.examples.rows.to_dense()) for batch in model.batches(DATA, 0)]
    shares = [[batch.examples.rows.to_dense() for batch in model.batches(DATA, 0, rank, 3)] for rank in range(3)]
    for (size, batch), *parts in zip(whole, *shares, strict=True):
        assert size == len(batch) and torch.cat(parts).sum(0).equal(batch.sum(0))


def guided(name: str) -> dict[str, Any]:
    """So many are told nothing that a batch of a few has one of them, and a weak pass that counts."""
    fields = models.configure(name, {}, "test").model_dump()
    return {"p_uncond": 0.5, "guidance_scale": 3.0} if "p_uncond" in fields else {}


@pytest.mark.parametrize("name", RECIPES)
def test_it_learns_what_follows_what(name: str) -> None:
    """Every item has one successor."""
    model = made(name, lr=0.01, history_dropout=0.0, embedding_dim=32)
    fit(model, DATA, TrainingSchedule(epochs=30, eval_every=30, patience=30), lambda _: None)
    assert validate(model, DATA).metrics()["recall_at_1"] > 0.8


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("sampler", SAMPLERS.names())
def test_a_model_scores_as_its_plain_chain_does(name: str, sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, users = made(name, sampler=sampler, **guided(name)), np.arange(DATA.n_users)
    fast = model.score(DATA.history(), users)
    monkeypatch.setattr(GuidedSampler, "affine", False)
    torch.testing.assert_close(model.score(DATA.history(), users), fast, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_settings_of_inference_are_those_of_a_model_made_with_them(name: str) -> None:
    """Swept on one network, whose maps are kept between the settings."""
    model, users = made(name, **guided(name)), np.arange(DATA.n_users)
    of_guidance = {key: value for key, value in guided(name).items() if key != "p_uncond"}
    for sampler, steps, more in (("ancestral", 3, {}), ("ddim", 3, {}), ("ddim", 5, of_guidance)):
        settings = {"sampler": sampler, "reverse_steps": steps, **more}
        model.infer_with(settings)
        fresh = made(name, **{**guided(name), **settings})
        fresh.load_state_dict(model.state_dict())
        assert model.score(DATA.history(), users).equal(fresh.score(DATA.history(), users))


@pytest.mark.parametrize("name", RECIPES)
def test_history_and_targets_have_the_same_embeddings(name: str) -> None:
    model = made(name)
    shared = [key for key, value in model.state_dict().items() if value.data_ptr() == model.space.items.data_ptr()]
    assert len(shared) == 2 and sum(p is model.space.items for p in model.parameters()) == 1


@pytest.mark.parametrize("as_published", [False, True])
def test_what_stands_beside_the_embeddings_begins_at_their_scale(as_published: bool) -> None:
    """Otherwise small embeddings would not be heard beside positions and padding."""
    large, small = (made("diffurec", as_published=as_published, item_std=each) for each in (1.0, 0.1))
    field = "padding" if as_published else "positions"
    torch.testing.assert_close(getattr(small.network, field), 0.1 * getattr(large.network, field))
    torch.testing.assert_close(small.space.items, 0.1 * large.space.items)


def test_a_loss_over_all_items_begins_near_the_uniform_distribution_with_small_embeddings() -> None:
    for std, near in ((0.1, True), (1.0, False)):
        torch.manual_seed(0)
        losses = made("diffurec", item_std=std)(next(made("diffurec").batches(DATA, 0)).examples)
        assert (abs(float(losses.detach().mean()) - np.log(DATA.n_items)) < 0.2) == near


def test_chains_of_several_samples_are_averaged_also_as_one_map() -> None:
    """What is left of the noise is the less, the more samples there are."""
    spreads = []
    for samples in (1, 25):
        scores = []
        for seed in range(3):
            model = made("dreamrec", sampler="ancestral", samples=samples)
            model.seed = seed
            scores.append(model.score(DATA.history().rows(np.arange(8)), np.arange(8)))
        spreads.append(float(torch.stack(scores).std(0).mean()))
    assert 0 < spreads[1] < spreads[0] / 3


def test_diffurec_as_published_knows_no_order_and_looks_at_padding() -> None:
    """What the promises say of the authors' code; of the paper's network they hold."""
    published, corrected = (made("diffurec", as_published=each, mixing=0.1) for each in (True, False))
    assert of_diffusion["order"](published, DATA) and not of_diffusion["order"](corrected, DATA)
    items = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = known(published, items)
        published.network.padding.mul_(-1)
        assert not known(published, items).allclose(before, rtol=1e-3)
    assert not of_diffusion["batch_mates"](published, DATA), "it is always as long as the longest may be"


def test_adrec_asks_at_every_place_what_a_chain_asks_at_the_newest() -> None:
    """Where the items behind the other places have no noise."""
    model = made("adrec", mixing=0.5)
    history, t = torch.tensor([[DATA.n_items, DATA.n_items, 4, 1], [7, 2, 3, 9]]), torch.tensor([0, 5, 0, 0, 0, 5])
    x_t = model.space.items.detach()[[1, 0, 2, 3, 9, 0]]  # behind 4, 1, 7, 2, 3, 9
    x_t[[1, 5]] = torch.randn(2, 16)
    with torch.no_grad():
        at_once = model.network(x_t, t, model.network.encode(EveryPlace.of(history, DATA.n_items)))
        newest = model.network(x_t[[1, 5]], t[[1, 5]], model.network.encode(OrderedItems(history, DATA.n_items)))
    torch.testing.assert_close(at_once[[1, 5]], newest, rtol=1e-4, atol=1e-5)


def test_adrec_looks_back_at_the_noise_of_others_and_never_ahead() -> None:
    model, condition = made("adrec", mixing=0.5), EveryPlace.of(torch.tensor([[7, 2, 3, 9]]), DATA.n_items)
    x_t, t = torch.randn(4, 16), torch.tensor([3, 1, 4, 1])

    def denoised(x_t: torch.Tensor, t: torch.Tensor, condition: EveryPlace = condition) -> torch.Tensor:
        with torch.no_grad():
            out: torch.Tensor = model.network(x_t, t, model.network.encode(condition))
        return out

    plain = denoised(x_t, t)
    for other in (
        denoised(x_t.index_fill(0, torch.tensor(2), 0.0), t),
        denoised(x_t, t.index_fill(0, torch.tensor(2), 9)),
    ):
        assert other[:2].allclose(plain[:2]) and not other[2].allclose(plain[2]) and not other[3].allclose(plain[3])
    told_nothing = denoised(x_t, t, condition.keep(torch.tensor([True, True, False, True])))
    assert told_nothing[:2].allclose(plain[:2])
    nobody = condition.nobody()
    assert told_nothing[2].allclose(
        denoised(x_t[2:3], t[2:3], OrderedItems(nobody.tensor[:1], DATA.n_items))[0], atol=1e-5
    )


def test_adrec_as_published_looks_at_padding_and_knows_the_order_all_the_same() -> None:
    """Two causal networks in a row tell places apart without positions."""
    published = made("adrec", as_published=True, mixing=0.1)
    assert not of_diffusion["order"](published, DATA) and not of_diffusion["batch_mates"](published, DATA)
    items = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = known(published, items)
        published.network.padding.mul_(-1)
        assert not known(published, items).allclose(before, rtol=1e-3)


@pytest.mark.parametrize("name", ["dreamrec", "preferdiff"])
def test_at_every_place_the_same_is_learned_in_one_pass(name: str) -> None:
    model = made(name, pairing="every_place", lr=0.01, history_dropout=0.0, embedding_dim=32, batch_size=8)
    fit(model, DATA, TrainingSchedule(epochs=30, eval_every=30, patience=30), lambda _: None)
    assert validate(model, DATA).metrics()["recall_at_1"] > 0.8


def test_without_mixing_diffurec_does_not_look_at_x_t() -> None:
    assert of_diffusion["x_t"](made("diffurec", mixing=0.0), DATA)
    assert not of_diffusion["x_t"](made("diffurec", mixing=0.001), DATA)


def test_mixing_is_drawn_in_training_alone_and_has_its_mean_in_evaluations() -> None:
    model = made("diffurec", mixing=0.5, history_dropout=0.0, embedding_dropout=0.0)
    items = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert known(model, items).equal(known(model, items))
        drawn = torch.cat([known(model.train(), items) for _ in range(2)])
    assert not drawn[0].allclose(drawn[1], rtol=1e-2)
