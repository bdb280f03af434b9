"""L-DiffRec and LT-DiffRec: what is theirs alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities
from tests.models.test_contract import CHANCE, scores, trained

from unblur import models
from unblur.data.artefacts import ItemEmbeddings
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.models.diffusion import l_diffrec
from unblur.spaces import Moment
from unblur.spaces.clustered_vae import grouped
from unblur.training.artefacts import provided
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import TrainingSchedule, fit, fit_for, with_artefacts

SPLIT = communities()
SMALL = {"dims": (32,), "in_dims": (32,), "batch_size": 32, "lr": 0.01, "vae_lr": 0.01, "item_embeddings": "svd"}


def made(seed: int = 0, **params: Any) -> l_diffrec.Model:
    config = l_diffrec.Config.model_validate({**SMALL, **params})
    return l_diffrec.Model(config, SPLIT.n_users, SPLIT.n_items, seed)


@pytest.mark.parametrize("source", ["svd", "lightgcn", "file"])
def test_the_groups_are_the_communities(source: str, tmp_path: Path) -> None:
    if source == "file":
        source = str(tmp_path / "item_emb.npy")
        np.save(source, np.eye(4, dtype=np.float32).repeat(10, axis=0))
    recipe = ItemEmbeddings(source)
    embeddings = provided(SPLIT, [recipe], 0, fit_for).artefacts[recipe.name]
    groups = grouped(embeddings, 4, seed=0).reshape(4, 10)
    assert (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == 4


@pytest.mark.parametrize("content", ["missing", "rows", "nan", "text"])
def test_unusable_embeddings_are_named(content: str, tmp_path: Path) -> None:
    file = tmp_path / "item_emb.npy"
    if content == "text":
        file.write_text("1 2 3")
    elif content != "missing":
        np.save(file, np.full((SPLIT.n_items if content == "nan" else 7, 3), np.nan))
    with pytest.raises(UserError, match=r"item_embeddings = .*item_emb.npy"):
        provided(SPLIT, [ItemEmbeddings(str(file))], 0, fit_for)


@pytest.mark.parametrize(
    "params",
    [
        {"n_groups": 1},
        {"n_groups": 4, "out_dims": (40,), "in_dims": (64, 32)},
        {"prediction": "v", "noise_scale": 0.5, "noise_max": 0.5},
        {"noise_scale": 0.0, "T": 2},
        {"t_prime_share": 1.0, "sampler": "ddim", "reverse_steps": 5},
    ],
)
def test_every_option_learns(params: dict[str, Any]) -> None:
    model = trained("l_diffrec", SPLIT, epochs=60, **{**SMALL, **params})
    assert validate(model, SPLIT).metrics()["recall_at_5"] > 4 * CHANCE


def test_the_weights_anneal_as_in_the_authors_code() -> None:
    """KL: towards 1 by updates, capped; lambda: down by epochs."""
    model = made(kl_weight=0.3, diffusion_weight=0.03)
    for epochs, updates, kl, lambda_ in (
        (0, 0, 0, 0.03),
        (3, 50, 0.25, 0.02982),
        (100, 1500, 0.3, 0.024),
        (499, 9999, 0.3, 0.005),
    ):
        assert model.space.annealed(Moment(epochs, updates)) == pytest.approx((kl, lambda_))


def test_the_clock_of_the_weights_is_that_of_the_training_also_after_a_resume() -> None:
    model = made(batch_size=7)
    steps = len(list(model.batches(SPLIT, 0)))
    assert steps == -(-SPLIT.n_users // 7)
    seen = [batch.examples.moment for batch in model.batches(SPLIT, 5, rank=1, world=2)]
    assert seen == [(5, 5 * steps + i) for i in range(steps)]


def test_a_batch_drawn_ahead_does_not_move_the_clock() -> None:
    """The schedules go by the batch, not by what was drawn last: workers may fetch ahead."""
    model = made(batch_size=30, encoder_dropout=0.0, dropout=0.0)
    batches = list(model.batches(SPLIT, 0))
    losses = []
    for examples in (batches[0].examples, batches[0].examples._replace(moment=batches[3].examples.moment)):
        torch.manual_seed(0)
        losses.append(model(examples).detach())
    assert not losses[0].equal(losses[1])
    torch.manual_seed(0)
    assert model(batches[0].examples).equal(losses[0])


def test_without_reweighting_lambda_weighs_the_vae() -> None:
    """As the authors' code has it: elbo + lambda vae instead of lambda elbo + vae."""
    examples = next(made().batches(SPLIT, 0)).examples
    losses = {}
    for reweight in (True, False):
        for weight in (0.1, 0.2):
            model = made(diffusion_weight=weight, reweight=reweight, T=1, encoder_dropout=0.0, dropout=0.0)
            torch.manual_seed(0)
            losses[reweight, weight] = model(examples).detach()
    # with T = 1 the step's weight is 1, so both are made of the same two losses: a + 0.1 b, b + 0.1 a
    b = (losses[True, 0.2] - losses[True, 0.1]) / 0.1
    a = (losses[False, 0.2] - losses[False, 0.1]) / 0.1
    torch.testing.assert_close(a + 0.1 * b, losses[True, 0.1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(b + 0.1 * a, losses[False, 0.1], rtol=1e-3, atol=1e-3)


def test_vae_and_denoiser_have_their_own_learning_rates_and_no_parameter_is_left_out() -> None:
    model = made(lr=0.002, vae_lr=0.001)
    rates = {id(p): group["lr"] for group in model.optimizer().param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (0.001 if name.startswith("space") else 0.002)


def test_the_authors_settings_have_the_papers_number_of_parameters() -> None:
    """Table 6, in millions: L-DiffRec and DiffRec on ML-1M."""
    for name, params, millions in (("l_diffrec", {}, 1.9), ("diffrec", {"dims": (200, 600)}, 3.6)):
        model = models.model_class(name)(models.configure(name, params, "test"), 5_949, 2_810)
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_a_resumed_training_is_an_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.training.loop.CHECKPOINT_SECONDS", 0.0)
    schedule = {"eval_every": 2, "patience": 20}
    whole, resumed = made(), made()
    fit(whole, SPLIT, TrainingSchedule(epochs=6, **schedule), lambda _: None)
    fit(made(), SPLIT, TrainingSchedule(epochs=4, **schedule), lambda _: None, Checkpoints(str(tmp_path)))
    fit(resumed, SPLIT, TrainingSchedule(epochs=6, **schedule), lambda _: None, Checkpoints(str(tmp_path)))
    assert scores(resumed, SPLIT, [0, 1, 2]).equal(scores(whole, SPLIT, [0, 1, 2]))


def test_loading_needs_no_data(tmp_path: Path) -> None:
    model = made(n_groups=3)
    model.setup(with_artefacts(model, SPLIT))
    model.save(tmp_path)
    loaded = models.load(tmp_path)
    groups = [each.space.vae.groups for each in (loaded, model, made(n_groups=3))]
    assert groups[0].equal(groups[1]) and not groups[1].equal(groups[2])
    assert scores(loaded, SPLIT, [0, 1]).equal(scores(model.eval(), SPLIT, [0, 1]))


def test_gradients_flow_through_the_latent() -> None:
    model = made().train()
    torch.manual_seed(0)
    examples = next(model.batches(SPLIT, 0)).examples
    model(examples).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
