"""One training step and one evaluation of DreamRec and PreferDiff, written out by the papers' formulas.

The encoder's vector is taken as it is; nothing else of the project's diffusion is used but the noise of an evaluation.
Random numbers are drawn in the order in which it draws them.
"""

from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import chains
from torch import Tensor
from torch.nn import functional as F

from unblur import models
from unblur.diffusion.condition import OrderedItems
from unblur.diffusion.noise import row_noise
from unblur.models.diffusion._recommender import DiffusionRecommender

DATA = chains(n_users=20)
T, LOW, HIGH, D, P, W = 6, 0.01, 0.3, 8, 0.4, 2.0
BETAS = torch.linspace(LOW, HIGH, T, dtype=torch.float64)
ALPHA_BAR = torch.cumprod(1 - BETAS, 0)
BEFORE = torch.cat([torch.ones(1, dtype=torch.float64), ALPHA_BAR[:-1]])


def made(name: str, **params: Any) -> DiffusionRecommender:
    noise = {"T": T, "noise_min": LOW, "noise_max": HIGH, "reverse_steps": None, "sampler": "posterior_mean"}
    network = {"embedding_dim": D, "max_length": 4, "heads": 1, "history_dropout": 0.0, "batch_size": 200}
    given = {**noise, **network, "p_uncond": P, "guidance_scale": 1 + W, **params}
    config = models.configure(name, given, "test")
    model: DiffusionRecommender = models.model_class(name)(config, DATA.n_users, DATA.n_items, seed=3)
    with torch.no_grad():
        model.network.encoder.null.normal_(generator=torch.Generator().manual_seed(0))  # would hide at its small start
    return model


def f(model: DiffusionRecommender, x_t: Tensor, h: Tensor, t: Tensor) -> Tensor:
    """One linear layer on [x_t, h, time]."""
    w = dict(model.network.named_parameters())
    frequencies = torch.exp(-np.log(10_000) * torch.arange(32) / 32)
    angles = t[:, None].float() * frequencies
    time = F.linear(torch.cat([angles.cos(), angles.sin()], 1), w["time.0.weight"], w["time.0.bias"])
    time = F.linear(F.gelu(time), w["time.2.weight"], w["time.2.bias"])
    inputs = torch.cat([x_t, h, time], 1)
    return inputs @ torch.cat([w["w_x"], w["w_condition"], w["time_in.weight"].T]) + w["time_in.bias"]


def vectors(model: DiffusionRecommender, condition: OrderedItems) -> tuple[Tensor, Tensor]:
    """h of the histories (b, d), and h_0 in place of it (b, d)."""
    h = model.network.encoder.encoder(condition.tensor)
    return h, model.network.encoder.null.expand_as(h)


def noised(x_0: Tensor, t: Tensor, z: Tensor) -> Tensor:
    a = ALPHA_BAR[t][:, None].float()
    return a.sqrt() * x_0 + (1 - a).sqrt() * z


def loss(name: str, model: DiffusionRecommender, e: Tensor, h: Tensor, h_0: Tensor) -> Tensor:
    t = torch.randint(T, (len(e),))
    z = torch.randn_like(e)
    h = torch.where(torch.rand(len(e))[:, None] >= P, h, h_0)
    predicted = f(model, noised(e, t, z), h, t)
    if name == "dreamrec":
        return (e - predicted).square().mean(1)
    centroid = torch.stack([e[torch.arange(len(e)) != i].mean(0) for i in range(len(e))])
    of_centroid = f(model, noised(centroid, t, torch.randn_like(e)), h, t)
    wanted, unwanted = (
        (1 - (F.normalize(a) * F.normalize(b)).sum(1)).square() for a, b in ((predicted, e), (of_centroid, centroid))
    )
    return 0.4 * wanted - 0.6 * torch.log(torch.sigmoid(-5 * (wanted - unwanted)))


@pytest.mark.parametrize("name", ["dreamrec", "preferdiff"])
def test_a_training_step(name: str) -> None:
    model = made(name).train()
    (batch,) = model.batches(DATA, 0)
    torch.manual_seed(5)
    found = model(batch.examples)
    torch.manual_seed(5)
    targets = batch.examples.rows.col_indices()
    expected = loss(name, model, model.space.items[targets], *vectors(model, batch.examples.condition))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    found_gradients, gradients = (
        torch.autograd.grad(each.mean(), list(model.parameters())) for each in (found, expected)
    )
    for ours, theirs in zip(found_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["dreamrec", "preferdiff"])
def test_an_evaluation(name: str) -> None:
    """All T steps from noise, x_0_hat = (1 + w) f(x_t, h, t) - w f(x_t, h_0, t), each to the posterior's mean."""
    model, users = made(name).eval(), np.arange(DATA.n_users)
    items, _ = DATA.history().sequences(4)
    h, h_0 = vectors(model, OrderedItems(torch.from_numpy(items), DATA.n_items))
    x = (1 - ALPHA_BAR[-1]).sqrt().float() * row_noise(3, torch.from_numpy(users), D)
    for step in reversed(range(T)):
        t = torch.full((len(x),), step)
        predicted = (1 + W) * f(model, x, h, t) - W * f(model, x, h_0, t)
        now, before, beta = ALPHA_BAR[step], BEFORE[step], BETAS[step]
        of_x0, of_xt = beta * before.sqrt() / (1 - now), (1 - before) * (1 - beta).sqrt() / (1 - now)
        x = of_x0.float() * predicted + of_xt.float() * x
    torch.testing.assert_close(
        model.score(DATA.history(), users), (x @ model.space.items.T).detach(), rtol=1e-4, atol=1e-4
    )
