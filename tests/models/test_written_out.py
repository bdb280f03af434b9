"""One training step and one evaluation of each recipe, written out by the papers' formulas in dense matrices.

The parts have tests of their own; these hold how they are put together: which noise, which step, which weight, what is
decoded. Nothing of the project's diffusion is used; random numbers are drawn in the order in which it draws them.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities
from torch import Tensor
from torch.nn import functional as F

from unblur import models
from unblur.diffusion.noise import row_noise
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.training.loop import Training, TrainingSchedule, with_artefacts
from unblur.training.workers import Workers

SPLIT = communities(n_users=30)
RECIPES = ["diffrec", "t_diffrec", "l_diffrec", "lt_diffrec", "cfg_diffrec", "generative_cfg", "prospective_cfg"]
T, S, LOW, HIGH = 5, 0.8, 0.05, 0.6
LATENT = {"in_dims": [10], "n_groups": 2, "item_embeddings": "svd", "encoder_dropout": 0.0}
GUIDED = {"guidance_scale": 1.7, "p_uncond": 0.3, "condition_dropout": 0.25}


def made(name: str, **params: Any) -> DiffusionRecommender:
    own = LATENT if name.startswith("l") else GUIDED if "cfg" in name else {}
    noise = {"T": T, "noise_scale": S, "noise_min": LOW, "noise_max": HIGH}
    given = {"dims": [8], "dropout": 0.0, "batch_size": 30, "lr": 0.01, **noise, **own, **params}
    model = models.model_class(name)(models.configure(name, given, "test"), SPLIT.n_users, SPLIT.n_items, seed=3)
    assert isinstance(model, DiffusionRecommender)
    model.setup(with_artefacts(model, SPLIT))
    return model


def alpha_bars(first: bool) -> Tensor:
    """Eq. 4; `first`: with DiffRec's fixed first beta."""
    exact = 1 - S * (LOW + torch.arange(T, dtype=torch.float64) / (T - 1) * (HIGH - LOW))
    betas = 1 - exact / torch.cat([torch.ones(1, dtype=torch.float64), exact[:-1]])
    if first:
        betas[0] = 1e-5
    return torch.cumprod(1 - betas, 0)


class WrittenOut:
    """A recipe by its formulas, with the weights of the model."""

    def __init__(self, model: DiffusionRecommender) -> None:
        self.config, self.weights = model.config, {n: p.detach().clone() for n, p in model.named_parameters()}
        for weight in self.weights.values():
            weight.requires_grad_()
        self.latent = self.config.space != "interactions"
        self.guided = self.config.guidance != "none"
        self.cut = self.config.pairing == "earlier_later"
        self.alpha_bar = alpha_bars(first=not self.latent)
        self.groups = model.space.vae.groups if self.latent else None

    def rows(self) -> Tensor:
        """All users' interactions, weighted by their age: eq. 16, or in the prospective regime gamma^age."""
        place = torch.from_numpy(SPLIT.train_rank).float()  # everybody has 5
        if self.cut:
            return self.placed(self.config.gamma ** (4 - place))
        return self.placed(self.config.w_min + place / 4 * (1 - self.config.w_min))

    def examples(self, epoch: int) -> tuple[Tensor, Tensor]:
        """All users' x_0 and condition in the order of the epoch."""
        rng = np.random.default_rng([3, epoch])
        cuts = torch.from_numpy(1 + np.floor(rng.random(SPLIT.n_users) * 4)).repeat_interleave(5) if self.cut else None
        order = rng.permutation(SPLIT.n_users)
        if cuts is None:
            return self.rows()[order], self.rows()[order]
        place = torch.from_numpy(SPLIT.train_rank)
        later = self.placed((place >= cuts) * self.config.gamma_future ** (place - cuts))
        earlier = self.placed((place < cuts) * self.config.gamma ** (cuts - 1 - place))
        return later[order], earlier[order]

    def placed(self, weights: Tensor) -> Tensor:
        """Dense rows with these weights of all interactions."""
        dense = torch.zeros(SPLIT.n_users, SPLIT.n_items)
        user, item = (torch.from_numpy(each).long() for each in SPLIT.train.nonzero())
        dense[user, item] = weights.float()
        return dense

    def network(self, x_t: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        w = {name.removeprefix("network."): weight for name, weight in self.weights.items()}
        frequencies = torch.exp(-np.log(10_000) * torch.arange(5) / 5)
        angles = t[:, None].float() * frequencies
        time = F.linear(torch.cat([angles.cos(), angles.sin()], 1), w["time.weight"], w["time.bias"])
        x_t = F.normalize(x_t) if self.config.normalize else x_t
        first = x_t @ w["w_in"] + F.linear(time, w["time_in.weight"], w["time_in.bias"])
        if condition is not None:
            first = first + F.normalize(condition) @ w["w_condition"]
        return F.linear(torch.tanh(first), w["out.weight"], w["out.bias"])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent, a group's share after the other's."""
        assert self.groups is not None
        means, log_variances = [], []
        for g in range(2):
            layer = f"space.vae.encoders.{g}.0"
            out = torch.tanh(
                F.linear(x[:, self.groups == g], self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"])
            )
            mean, log_variance = out.chunk(2, dim=1)
            means.append(mean)
            log_variances.append(log_variance)
        return torch.cat(means, 1), torch.cat(log_variances, 1)

    def decode(self, z: Tensor) -> Tensor:
        layer = "space.vae.decoders.0.0"
        return F.linear(z, self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"])

    def noised(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        a = self.alpha_bar[t][:, None].float()
        return a.sqrt() * x_0 + (1 - a).sqrt() * noise

    def step_weights(self, t: Tensor) -> Tensor:
        if not self.config.reweight:
            return torch.ones(len(t))
        snr = self.alpha_bar / (1 - self.alpha_bar)
        return torch.where(t == 0, torch.ones(1, dtype=torch.float64), snr[t - 1] - snr[t]).float()

    def losses(self, x: Tensor, given: Tensor, p: Tensor, epoch: int, update: int) -> Tensor:
        """Losses of one batch, `given` being the condition's items; the random numbers are drawn here."""
        if self.latent:
            mean, log_variance = self.encode(x)
            x_0 = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        else:
            x_0 = x
        t = torch.multinomial(p, len(x), replacement=True)
        x_t = self.noised(x_0, t, torch.randn_like(x_0))
        predicted = self.network(x_t, t, self.condition(given))
        diffusion = self.step_weights(t) * (predicted - x_0).square().mean(1) / (T * p[t])
        if not self.latent:
            return diffusion
        likelihood = (x * F.log_softmax(self.decode(predicted), 1)).sum(1)  # of the denoised latent
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        lambda_ = max(0.03 * (1 - epoch / 500), 0.005)
        return lambda_ * diffusion - likelihood + min(0.3, update / 200) * kl

    def condition(self, x: Tensor) -> Tensor | None:
        """Items are dropped with condition_dropout, then whole users with p_uncond."""
        if not self.guided:
            return None
        kept = torch.rand(int((x != 0).sum())) >= GUIDED["condition_dropout"]
        partial = torch.zeros_like(x)
        partial[x != 0] = x[x != 0] * kept
        return partial * (torch.rand(len(x)) >= GUIDED["p_uncond"])[:, None]

    def scores(self, x: Tensor, T_prime: int, noise: Tensor, drawn: Callable[[int], Tensor] | None = None) -> Tensor:
        """From x_{T'} through all T reverse steps, each with the posterior's mean (eq. 8, 10), or a draw from it."""
        z = self.encode(x)[0] if self.latent else x
        if T_prime:
            z = self.noised(z, torch.full((len(x),), T_prime - 1), noise)
        before = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bar[:-1]])
        for step in reversed(range(T)):
            t = torch.full((len(x),), step)
            predicted = self.network(z, t, None)
            if self.guided:
                predicted = predicted + GUIDED["guidance_scale"] * (self.network(z, t, x) - predicted)
            now, ahead = self.alpha_bar[step], before[step]
            of_x0 = ahead.sqrt() * (1 - now / ahead) / (1 - now)
            of_xt = (now / ahead).sqrt() * (1 - ahead) / (1 - now)
            z = of_x0.float() * predicted + of_xt.float() * z
            if drawn is not None and step > 0:
                z = z + ((1 - ahead) * (1 - now / ahead) / (1 - now)).sqrt().float() * drawn(step)
        return self.decode(z) if self.latent else z


def warm(model: DiffusionRecommender) -> Tensor:
    """Losses that make some steps likelier than others, and the probabilities p_t (eq. 14) that follow."""
    remembered = torch.linspace(0.2, 3.0, T)[:, None] * torch.linspace(0.5, 1.5, 10)
    model.steps.losses.copy_(remembered)
    model.steps.counts.fill_(10)
    size = remembered.square().mean(1).sqrt()
    return 0.999 * size / size.sum() + 0.001 / T


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_step(name: str) -> None:
    model = made(name)
    written, p = WrittenOut(model), warm(model)
    (batch,) = model.batches(SPLIT, 3)
    x, given = written.examples(epoch=3)
    torch.testing.assert_close(batch.examples.rows.to_dense(), x)
    torch.manual_seed(5)
    found = model.train()(batch.examples)
    torch.manual_seed(5)
    expected = written.losses(x, given, p, epoch=3, update=3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    optimizer = model.optimizer()
    (found.sum() / batch.size).backward()
    optimizer.step()
    rates = {n: 0.001 if n.startswith("space.") else 0.01 for n in written.weights}
    groups = [{"params": [weight], "lr": rates[n]} for n, weight in written.weights.items()]
    reference = torch.optim.AdamW(groups, weight_decay=0.0)
    (expected.sum() / SPLIT.n_users).backward()
    reference.step()
    for parameter_name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, written.weights[parameter_name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("T_prime", [0, 1, 3, 5])
def test_an_evaluation(name: str, T_prime: int) -> None:
    model = made(name, t_prime_share=T_prime / T).eval()
    written, users = WrittenOut(model), np.arange(SPLIT.n_users)
    x = written.rows()
    noise = row_noise(3, torch.from_numpy(users), 10 if written.latent else SPLIT.n_items)
    with torch.no_grad():
        expected = written.scores(x, T_prime, noise)
    torch.testing.assert_close(model.score(SPLIT.history(), users), expected, rtol=1e-4, atol=1e-4)


def test_drawn_chains_are_averaged_and_each_start_and_step_has_noise_of_its_own() -> None:
    model = made("cfg_diffrec", t_prime_share=3 / T, sampler="ancestral", samples=3).eval()
    written, users = WrittenOut(model), np.arange(SPLIT.n_users)
    chains = []
    for first in (0, T + 1, 2 * (T + 1)):
        start, *steps = (row_noise(3, torch.from_numpy(users), SPLIT.n_items, first + i) for i in range(T + 1))
        with torch.no_grad():
            chains.append(written.scores(written.rows(), 3, start, steps.__getitem__))
    found = model.score(SPLIT.history(), users)
    torch.testing.assert_close(found, torch.stack(chains).mean(0), rtol=1e-4, atol=1e-4)


def test_what_is_remembered_of_a_step_is_its_loss_before_the_division_by_its_probability() -> None:
    model = made("diffrec")
    written, p = WrittenOut(model), warm(model)
    (batch,) = model.batches(SPLIT, 0)
    torch.manual_seed(5)
    divided = written.losses(*written.examples(epoch=0), p, 0, 0).detach()
    torch.manual_seed(5)
    t = torch.multinomial(p, SPLIT.n_users, replacement=True)
    torch.manual_seed(5)
    model.train()(batch.examples)
    for step in range(T):
        own = (divided * T * p[t])[t == step][-10:]
        assert sorted(model.steps.losses[step].tolist())[: len(own)] or not len(own)
        for value in own:
            assert (model.steps.losses[step] - value).abs().min() < 1e-4 * value.abs() + 1e-6


def test_the_weaker_network_of_autoguidance_takes_a_step_of_its_own() -> None:
    model = made("cfg_diffrec", guidance="auto", weak_share=0.5)
    before = copy.deepcopy(model.state_dict())
    (batch,) = model.batches(SPLIT, 0)
    model.train()(batch.examples).sum().backward()
    model.optimizer().step()
    assert model.weak is not None and model.weak.w_in.shape[1] == 4
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert {"network", "weak"} <= moved


class Alone(Workers):
    """One of several workers, without the others."""

    def wrap(self, model: Any) -> Any:
        return model

    def total(self, values: Tensor) -> Tensor:
        return values


def test_every_seed_worker_and_epoch_draws_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr("unblur.training.loop.efficiency", lambda *_: None)
    monkeypatch.setattr(torch, "randn_like", lambda x: drawn.append(torch.randn(x.shape)) or drawn[-1].clone())
    for seed, rank in ((3, 0), (3, 1), (4, 0)):
        (model := made("diffrec")).seed = seed
        training = Training(model, SPLIT, TrainingSchedule(), lambda *_: None, None, Alone(rank, 2))
        training.train_epoch()
        training.train_epoch()
    assert len(drawn) == 6 and len({noise.shape for noise in drawn}) == 1
    assert all(not a.equal(b) for i, a in enumerate(drawn) for b in drawn[:i])
