"""DiffRec and CFG-DiffRec: what is theirs alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.helpers.synthetic import communities
from tests.models.test_contract import CHANCE, scores, trained

from unblur import models
from unblur.data.dataset import History
from unblur.diffusion.guided_sampler import GuidedSampler
from unblur.diffusion.samplers import SAMPLERS
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.models.diffusion import cfg_diffrec, diffrec, t_diffrec

SPLIT = communities()
GENERATIVE = {"noise_scale": 1.0, "noise_min": 0.1, "noise_max": 0.99, "t_prime_share": 1.0, "condition_dropout": 0.5}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise_min": 0.5, "noise_max": 0.5}, "noise_min = 0.5 must be below noise_max = 0.5"),
        ({"t_prime_share": 1.4}, "T' = 7 of T = 5"),
        ({"p_uncond": 0.0, "guidance_scale": 2.0}, "only guidance_scale = 1 has a meaning"),
        ({"loss": "multinomial", "prediction": "eps"}, "needs the squared error"),
        ({"schedule": "zero_terminal_snr", "prediction": "eps"}, "take x0 or v"),
        ({"w_min": 0, "w_form": "exponential"}, "w_form = linear"),
        ({"lr": -1}, "lr = -1"),
        ({"dims": []}, "dims"),
        ({"learning_rate": 0.1}, "unknown parameter 'learning_rate'"),
    ],
)
def test_bad_configurations_say_what_would_be_right(params: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        models.configure("cfg_diffrec", params, "--set")


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "multinomial"},
        {"encoder": "bottleneck", "embedding_dim": 8},
        {"normalize": True, "reweight": False},
        {"time_sampling": "uniform", "schedule": "cosine", "noise_scale": 1.0, "noise_max": 0.9},
        {"prediction": "v", "noise_scale": 0.5, "noise_max": 0.5},
        {"noise_scale": 0.0, "T": 2},
        {"sampler": "ancestral", "samples": 2},
        {"sampler": "ddim", "T": 8, "reverse_steps": 3},
        {"w_min": 0.5, "w_form": "exponential"},
        {"self_condition": True},
        {**GENERATIVE, "self_condition": True, "loss": "multinomial", "guidance_scale": 2.0},
        {"condition_w_min": 0.5, "null_condition": "learned", "guidance_scale": 1.5},
        {**GENERATIVE, "denoiser": "cross_attention", "encoder": "none", "embedding_dim": 16},
        {**GENERATIVE, "encoder": "set_transformer", "embedding_dim": 16},
        {**GENERATIVE, "encoder": "transformer", "embedding_dim": 16},
        {**GENERATIVE, "denoiser": "dit"},
        {**GENERATIVE, "guidance": "auto", "guidance_scale": 1.5, "p_uncond": 0.0, "samples": 2},
        {**GENERATIVE, "guidance_ramp": "cosine", "guidance_scale": 2.0},
        {**GENERATIVE, "guidance_scale": 2.0},
        {**GENERATIVE, "loss": "multinomial"},
        {**GENERATIVE, "schedule": "zero_terminal_snr", "prediction": "v", "guidance_scale": 2.0},
    ],
)
def test_every_option_learns(params: dict[str, Any]) -> None:
    model = trained("cfg_diffrec", SPLIT, epochs=40, **{"dropout": 0.2, **params})
    assert validate(model, SPLIT).metrics()["recall_at_5"] > 4 * CHANCE


@pytest.mark.parametrize("loss", ["squared_error", "multinomial"])
def test_who_has_no_history_gets_what_is_popular(loss: str) -> None:
    popular = communities(n_users=120, groups=4)
    users = np.flatnonzero(np.arange(popular.n_users) % 4 == 0)  # one group's items are had by most
    rows = np.concatenate([np.arange(popular.n_users), np.repeat(users, 3)])
    often = replace(
        popular,
        train=popular.train[rows],
        valid=popular.valid[rows],
        train_rank=np.concatenate([popular.history().rows(np.array([row])).rank for row in rows]),
        valid_rank=None,
        users=rows.astype(str),
    )
    model = trained("diffrec", often, epochs=20, loss=loss)
    nobody = History(csr_matrix((1, often.n_items), dtype=np.float32), np.zeros(0, np.int32))
    assert (model.score(nobody, np.array([0])).topk(5).indices < 10).all()


def test_in_the_generative_regime_scale_zero_is_popularity_and_the_condition_is_everything() -> None:
    model = trained("cfg_diffrec", SPLIT, epochs=40, **GENERATIVE)
    assert isinstance(model, cfg_diffrec.Model)
    with_condition = validate(model, SPLIT).metrics()["ndcg_at_5"]
    model.config = model.config.model_copy(update={"guidance_scale": 0.0})
    without = validate(model, SPLIT).metrics()["ndcg_at_5"]
    assert with_condition > 2 * without


def test_the_hidden_chain_ranks_as_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("cfg_diffrec", SPLIT, epochs=3, T=20, guidance_scale=2.0, normalize=True)
    fast = scores(model, SPLIT, list(range(20)))
    monkeypatch.setattr(GuidedSampler, "in_hidden_space", False)
    plain = scores(model, SPLIT, list(range(20)))
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
    assert fast.topk(10).indices.equal(plain.topk(10).indices)


def test_recency_weights_reach_input_and_target() -> None:
    plain = models.model_class("diffrec")(diffrec.Config(), SPLIT.n_users, SPLIT.n_items)
    weighted = models.model_class("diffrec")(diffrec.Config(w_min=0.2), SPLIT.n_users, SPLIT.n_items)
    for model, expected in ((plain, {1.0}), (weighted, {0.2, 0.4, 0.6, 0.8, 1.0})):
        batch = next(model.batches(SPLIT, 0))
        assert {round(value, 4) for value in batch.examples[0].values().tolist()} == expected


@pytest.mark.parametrize("world", [2, 3, 7])
def test_the_workers_shares_are_the_batch(world: int) -> None:
    model = models.model_class("diffrec")(diffrec.Config(batch_size=50), SPLIT.n_users, SPLIT.n_items)
    whole = list(model.batches(SPLIT, 4))
    assert [batch.size for batch in whole] == [50, 50, 20]
    for rank in range(world):
        for mine, all_of_it in zip(model.batches(SPLIT, 4, rank, world), whole, strict=True):
            assert mine.size == all_of_it.size
            assert mine.examples[0].to_dense().equal(all_of_it.examples[0].to_dense()[rank::world])


def test_epochs_are_shuffled_differently() -> None:
    model = models.model_class("diffrec")(diffrec.Config(), SPLIT.n_users, SPLIT.n_items)
    first, second = (next(model.batches(SPLIT, epoch)).examples[0].to_dense() for epoch in (0, 1))
    assert not first.equal(second) and first.sum(0).equal(second.sum(0))
    assert np.isclose(first.sum(), SPLIT.train.nnz)


def test_the_condition_may_have_its_own_recency_weights() -> None:
    config = cfg_diffrec.Config(condition_w_min=0.2)
    model = models.model_class("cfg_diffrec")(config, SPLIT.n_users, SPLIT.n_items)
    rows, condition, *_ = next(model.batches(SPLIT, 0)).examples
    assert (rows.values() == 1).all()
    assert {round(value, 4) for value in condition.rows.values().tolist()} == {0.2, 0.4, 0.6, 0.8, 1.0}


def test_exponential_weights_grow_by_a_constant_factor() -> None:
    model = models.model_class("t_diffrec")(t_diffrec.Config(w_form="exponential"), SPLIT.n_users, SPLIT.n_items)
    rows, *_ = next(model.batches(SPLIT, 0)).examples
    weights = sorted(set(rows.values().tolist()))
    assert weights == pytest.approx([0.1 * 10 ** (i / 4) for i in range(5)])


def test_every_sampler_with_all_steps_and_fewer_is_deterministic_per_user() -> None:
    model = trained("generative_cfg", SPLIT, epochs=1)
    for sampler in SAMPLERS.names():
        for kept in (None, 2):
            options = {"sampler": sampler, "reverse_steps": kept, "samples": 2}
            model.config = model.config.model_copy(update=options)
            several = scores(model, SPLIT, [3, 9])
            torch.testing.assert_close(scores(model, SPLIT, [9])[0], several[1], rtol=1e-4, atol=1e-5)


def test_averaged_samples_differ_less_between_seeds_than_single_ones() -> None:
    model = trained("generative_cfg", SPLIT, epochs=1)

    def spread(samples: int) -> float:
        model.config = model.config.model_copy(update={"samples": samples, "sampler": "ancestral"})
        results = []
        for model.seed in range(4):
            results.append(scores(model, SPLIT, [0, 1, 2]))
        return float(torch.stack(results).std(0).mean())

    assert spread(16) < 0.5 * spread(1)


@pytest.mark.parametrize(
    "params", [{}, {"guidance": "auto"}, {"guidance_ramp": "linear"}, {"null_condition": "learned"}]
)
def test_scale_one_is_exactly_the_conditional_pass(params: dict[str, Any]) -> None:
    model = trained("generative_cfg", SPLIT, epochs=1, guidance_scale=1.0, **params)
    guided = scores(model, SPLIT, [0, 1])
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.startswith("weak") or name.endswith("null"):
                weights.fill_(3.0)  # would show if the weak pass had a part in it
    assert scores(model, SPLIT, [0, 1]).equal(guided)


def test_autoguidance_moves_away_from_the_smaller_network() -> None:
    model = trained("generative_cfg", SPLIT, epochs=3, guidance="auto")
    results = {}
    for scale in (0.0, 1.0, 2.0):
        model.config = model.config.model_copy(update={"guidance_scale": scale, "T": 1, "reverse_steps": 1})
        results[scale] = scores(model, SPLIT, [0, 1])
    torch.testing.assert_close(results[2.0] - results[1.0], results[1.0] - results[0.0], rtol=1e-3, atol=1e-4)
    assert sum(p.numel() for p in model.weak.parameters()) < sum(p.numel() for p in model.network.parameters())
