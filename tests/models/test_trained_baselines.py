"""Baselines trained by gradient, and iALS: against their definitions, on small data."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from tests.helpers.synthetic import communities
from tests.models.test_contract import CHANCE, scores, trained
from torch.nn import functional as F

from unblur import models
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.models import names
from unblur.models.autoencoders._autoencoder import Autoencoder, Histories, multinomial_loss
from unblur.models.factorization import ials
from unblur.models.factorization._pairwise import Pairwise, sample_negatives
from unblur.models.factorization.lightgcn import smooth
from unblur.nn.sparse import from_scipy

SPLIT = communities()
AUTOENCODERS = [name for name in names() if issubclass(models.model_class(name), Autoencoder)]
PAIRWISE = [name for name in names() if issubclass(models.model_class(name), Pairwise)]
TRAINED = sorted(AUTOENCODERS + PAIRWISE)


def new(name: str, **params: Any) -> Any:
    params = {key: value for key, value in params.items() if key in models.config_class(name).model_fields}
    model: Any = models.model_class(name)(models.configure(name, params, "test"), SPLIT.n_users, SPLIT.n_items)
    model.setup(SPLIT)
    return model


def gradient(model: Any, batches: list[Any]) -> torch.Tensor:
    """Of the first step, summed over the workers' shares."""
    model.zero_grad(set_to_none=True)
    for batch in batches:
        (model(batch.examples).sum() / batch.size).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


# every trained baseline


@pytest.mark.parametrize("name", TRAINED)
def test_workers_shares_add_up_to_the_step_of_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for draw in ("randn_like", "rand_like"):  # a worker's noise is its own
        monkeypatch.setattr(torch, draw, torch.zeros_like)
    model = new(name, batch_size=7, dims=(8,), dropout=0.0, T=1, p_uncond=0.0)
    whole = gradient(model, [next(model.batches(SPLIT, 3))])
    for world in (3, 10):  # 10 workers and 7 examples: some have none
        shares = [next(model.batches(SPLIT, 3, rank, world)) for rank in range(world)]
        torch.testing.assert_close(gradient(model, shares), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_epochs_repeat_and_differ(name: str) -> None:
    model = new(name)
    first, again, other = (next(model.batches(SPLIT, epoch)).examples.users for epoch in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("name", TRAINED)
def test_recency_reaches_what_is_learned(name: str) -> None:
    examples = next(new(name, w_min=0.2).batches(SPLIT, 0)).examples
    weights = examples.rows.values() if isinstance(examples, Histories) else examples.weight
    assert {round(value, 4) for value in weights.tolist()} == {0.2, 0.4, 0.6, 0.8, 1.0}


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_training_hides_items_and_evaluation_does_not(name: str) -> None:
    model = new(name, dropout=0.5, normalize=False, noise_scale=0.0, p_uncond=0.0)
    rows = from_scipy(SPLIT.train, model.device)
    kept = model.train().corrupted(rows).to_dense()
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (kept > 0).sum() / SPLIT.train.nnz < 0.6
    assert model.eval().corrupted(rows).to_dense().equal(rows.to_dense())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cdae", {"loss": "squared_error", "activation": "identity", "normalize": True}),
        ("cdae", {"loss": "multinomial", "activation": "tanh"}),
        ("codigem", {"reverse": True, "T": 3, "noise": 0.05}),
        ("multi_dae", {"normalize": False, "dims": (8, 32)}),
        ("multi_dae_pp", {"noise_scale": 0.5, "noise_max": 0.5}),
        ("multi_dae_pp", {"noise_scale": 0.0}),
        ("multi_vae", {"dims": (16, 32), "anneal_steps": 10}),
        ("bpr_mf", {"l2": 0.01, "w_min": 0.5}),
        ("lightgcn", {"layers": 1, "w_min": 0.5}),
        ("ials", {"factors": 8, "alpha": 10.0, "w_min": 0.5}),
    ],
)
def test_every_option_learns(name: str, params: dict[str, Any]) -> None:
    model = trained(name, SPLIT, epochs=60, **params)
    assert validate(model, SPLIT).metrics()["recall_at_5"] > 4 * CHANCE


# autoencoders


def test_multinomial_loss_is_the_log_likelihood() -> None:
    x, logits = csr_matrix(np.float32([[1, 0, 0.5], [0, 0, 0]])), torch.randn(2, 3)
    p = logits.softmax(-1)
    expected = torch.stack([-(p[0, 0].log() + 0.5 * p[0, 2].log()), torch.zeros(())])
    torch.testing.assert_close(multinomial_loss(logits, from_scipy(x, logits.device)), expected)


def test_multi_vae_anneals_and_its_kl_is_that_of_gaussians(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    model = new("multi_vae", dropout=0.0, anneal_steps=100, kl_cap=0.2, dims=(8,))
    assert [model.beta(update) for update in (0, 10, 20, 1000)] == [0.0, 0.1, 0.2, 0.2]
    start, later = (model(next(model.batches(SPLIT, 0)).examples._replace(update=update)) for update in (0, 10))
    mean, log_variance = model.encode(next(model.batches(SPLIT, 0)).examples.rows)
    q, prior = (torch.distributions.Normal(m, s) for m, s in ((mean, (log_variance / 2).exp()), (0.0, 1.0)))
    torch.testing.assert_close(later - start, 0.1 * torch.distributions.kl_divergence(q, prior).sum(-1))


def test_annealing_goes_on_where_the_epoch_before_ended() -> None:
    model = new("multi_vae", batch_size=50)
    assert [batch.examples.update for epoch in (0, 1) for batch in model.batches(SPLIT, epoch)] == [0, 1, 2, 3, 4, 5]


def test_multi_dae_pp_adds_diffrecs_noise_in_training_alone() -> None:
    model = new("multi_dae_pp", dropout=0.0, normalize=False, T=1, noise_scale=0.5, noise_min=0.5, noise_max=0.9)
    rows = from_scipy(SPLIT.train, model.device)
    assert model.eval().corrupted(rows).to_dense().equal(rows.to_dense())
    noise = model.train().corrupted(rows) - model.process.alpha_bar.sqrt().float() * rows.to_dense()
    assert_allclose(noise.std().item() ** 2, 1 - model.process.alpha_bar.item(), rtol=0.1)


def test_multi_dae_pp_refuses_crossed_bounds() -> None:
    with pytest.raises(UserError, match=r"noise_min = 0\.5 must be below noise_max = 0\.1"):
        models.configure("multi_dae_pp", {"noise_min": 0.5, "noise_max": 0.1}, "--set")


@pytest.mark.parametrize("loss", ["logistic", "squared_error"])
def test_cdaes_loss_is_the_mean_of_its_sampled_one(loss: str) -> None:
    """The paper draws `negatives` items without interaction for each one with."""
    model = new("cdae", loss=loss, negatives=2.0, dropout=0.0)
    examples = next(model.batches(SPLIT, 0)).examples
    x, output = examples.rows.to_dense(), model.predict(examples.rows, examples.users)
    pointwise = F.binary_cross_entropy_with_logits if loss == "logistic" else F.mse_loss
    every = pointwise(output, x, reduction="none")
    positives, free = x.sum(-1), (1 - x).sum(-1)
    sampled_mean = 2 * positives * (every * (1 - x)).sum(-1) / free
    torch.testing.assert_close(model(examples), (every * x).sum(-1) + sampled_mean)


def test_cdae_knows_its_users() -> None:
    model = new("cdae")
    history = SPLIT.history().rows(np.array([0, 0]))
    mine, anothers = model.score(history, np.array([0, 1]))
    assert not mine.equal(anothers)


def test_codigems_reverse_networks_do_not_touch_its_decoder() -> None:
    """Why they are left out when the decoder alone recommends."""
    model = new("codigem", reverse=True, dims=(8,), T=3)
    assert len(model.steps) == 2 and not new("codigem", T=3).steps
    examples = next(model.batches(SPLIT, 0)).examples

    def decoders_gradients() -> tuple[torch.Tensor, ...]:
        torch.manual_seed(0)
        return torch.autograd.grad(model(examples).sum(), list(model.decoder.parameters()))

    before = decoders_gradients()
    for parameter in model.steps.parameters():
        parameter.data.mul_(3)
    assert all(now.equal(then) for now, then in zip(decoders_gradients(), before, strict=True))


# pairwise models


def test_negatives_are_uniform_over_what_the_user_does_not_have() -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((6, 9)) < 0.5).astype(np.float32)
    dense[0], dense[1], dense[2] = 0, 1, [1, 1, 0, 0, 0, 0, 0, 1, 1]
    train = csr_matrix(dense)
    users, _ = sample_negatives(train, rng)
    draws = np.stack([sample_negatives(train, rng)[1] for _ in range(4000)])
    assert_array_equal(users, train.nonzero()[0])
    assert (draws[:, users == 1] == -1).all()
    for user in range(2, 6):
        counts = np.bincount(draws[:, users == user].ravel(), minlength=9)
        free = dense[user] == 0
        assert (counts[~free] == 0).all()
        assert_allclose(counts[free] / counts.sum(), 1 / free.sum(), atol=0.03)


@pytest.mark.parametrize("name", PAIRWISE)
def test_the_pairwise_loss_is_bprs(name: str) -> None:
    model = new(name, l2=0.3, w_min=0.2)
    triples = next(model.batches(SPLIT, 0)).examples
    users, items = model.embeddings()
    positive, negative = ((users[triples.users] * items[i]).sum(-1) for i in (triples.positive, triples.negative))
    lengths = [model.users[triples.users], model.items[triples.positive], model.items[triples.negative]]
    penalty = 0.15 * sum(part.square().sum(-1) for part in lengths)
    expected = -triples.weight * torch.log(torch.sigmoid(positive - negative)) + penalty
    torch.testing.assert_close(model(triples), expected)


def test_an_epoch_holds_every_interaction_once() -> None:
    model = new("bpr_mf", batch_size=100)
    parts = [batch.examples for batch in model.batches(SPLIT, 0)]
    seen = csr_matrix(
        (np.concatenate([p.weight for p in parts]), tuple(np.concatenate([p[i] for p in parts]) for i in (0, 1))),
        shape=SPLIT.train.shape,
    )
    assert_array_equal(seen.toarray(), SPLIT.train.toarray())


def test_lightgcn_smooths_over_the_normalised_graph() -> None:
    """Against powers of the whole adjacency matrix, forward and backward."""
    model = new("lightgcn", layers=3)
    r = SPLIT.train.toarray()
    n = SPLIT.n_users
    a = np.zeros((n + SPLIT.n_items,) * 2, dtype=np.float32)
    a[:n, n:], a[n:, :n] = r, r.T
    d = np.maximum(a.sum(0), 1e-12) ** -0.5
    a = torch.from_numpy(d[:, None] * a * d)
    e = torch.cat([model.users, model.items]).detach().requires_grad_()
    naive = (e + a @ e + a @ a @ e + a @ a @ a @ e) / 4
    users, items = model.embeddings()
    torch.testing.assert_close(torch.cat([users, items]), naive, rtol=1e-4, atol=1e-6)
    weights = torch.randn(naive.shape)
    (naive * weights).sum().backward()
    (torch.cat([users, items]) * weights).sum().backward()
    torch.testing.assert_close(torch.cat([model.users.grad, model.items.grad]), e.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.cat(smooth(model.users, model.items, model.graph, 0)), e)


def test_embeddings_are_computed_once_for_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("lightgcn", SPLIT, epochs=1)
    first, calls = scores(model, SPLIT, [0]), []
    monkeypatch.setattr(model, "embeddings", lambda: calls.append(1))
    assert scores(model, SPLIT, [0]).equal(first) and not calls
    model.train()
    model.eval()
    with pytest.raises(TypeError):
        scores(model, SPLIT, [0])
    assert calls


# iALS


def test_ials_folds_users_in_by_the_normal_equations() -> None:
    model: Any = trained("ials", SPLIT, factors=8, alpha=4.0, l2=0.5)
    y = model.solver.item_factors
    x = SPLIT.train[[3]].toarray()[0]
    a = y.T @ ((1 + 4.0 * x)[:, None] * y) + 0.5 * np.eye(8)
    expected = y @ np.linalg.solve(a, y.T @ ((1 + 4.0 * x) * x))
    assert_allclose(scores(model, SPLIT, [3])[0].numpy(), expected, rtol=1e-3, atol=1e-5)


def test_without_implicit_ials_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}")

    monkeypatch.setattr(ials, "import_module", missing)
    with pytest.raises(UserError, match="pip install implicit"):
        trained("ials", SPLIT)


# Multi-VAE under guidance


def guided_vae(**params: Any) -> Any:
    return trained("cfg_multi_vae", SPLIT, epochs=30, **{"dims": (8,), "lr": 0.01, "p_uncond": 0.3} | params)


def test_guidance_goes_from_everybodys_taste_to_ones_own() -> None:
    model, users = guided_vae(), np.arange(SPLIT.n_users)
    found = {}
    for scale in (0.0, 1.0, 3.0):
        model.infer_with({"guidance_scale": scale})
        found[scale] = model.score(SPLIT.history().rows(users), users)
    assert found[0.0].shape == found[1.0].shape and (found[0.0] == found[0.0][0]).all()
    torch.testing.assert_close(found[3.0], found[0.0] + 3 * (found[1.0] - found[0.0]))


def test_at_scale_one_it_is_a_multi_vae() -> None:
    model = guided_vae()
    plain: Any = models.model_class("multi_vae")(
        models.configure("multi_vae", {"dims": (8,)}, "test"), SPLIT.n_users, SPLIT.n_items
    )
    plain.load_state_dict(model.state_dict())
    assert torch.equal(scores(plain.eval(), SPLIT, [0, 3]), scores(model, SPLIT, [0, 3]))


def test_without_an_unconditional_pass_only_scale_one_has_a_meaning() -> None:
    with pytest.raises(UserError, match=r"p_uncond = 0 never trains the unconditional pass.*not 2"):
        models.configure("cfg_multi_vae", {"p_uncond": 0.0, "guidance_scale": 2.0}, "test")
