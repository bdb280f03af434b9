"""The control of a linear denoiser's chain: the same encoder, and least squares in place of the chain."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import chains

from unblur import models
from unblur.diffusion.affine_chain import affine_chain
from unblur.diffusion.condition import OrderedItems
from unblur.errors import UserError
from unblur.models.closed_form.ridge_head import Model
from unblur.training.loop import TrainingSchedule, fit

DATA = chains()
OF = {"embedding_dim": 8, "max_length": 8, "T": 20, "noise_max": 0.4, "lr": 0.01, "batch_size": 40}


def fitted(l2: float = 0.5, **params: Any) -> Model:
    given = {"of": {"model": "dreamrec", "params": {**OF, **params}}, "epochs": 3, "l2": l2}
    model: Model = models.model_class("ridge_head")(models.configure("ridge_head", given, "test"), 64, 20)
    fit(model, DATA, TrainingSchedule(epochs=1, patience=1), lambda _: None)
    return model


def pairs(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """h and 1 of every prefix (n, d + 1), and the embedding of the item behind it (n, d)."""
    sequences = DATA.history().in_order()
    prefixes, behind = [], []
    for start, end in zip(sequences.starts, sequences.ends, strict=True):
        items = sequences.items[start:end].tolist()
        prefixes += [[20] * (8 - k) + items[:k] for k in range(1, len(items))]
        behind += items[1:]
    with torch.no_grad():
        h = model.inner.network.encoder.read(OrderedItems(torch.tensor(prefixes), 20))
        return torch.cat([h, torch.ones(len(h), 1)], 1).double(), model.inner.space.items[behind].double()


@pytest.mark.parametrize("pairing", ["every_place", "prefix_next"])
def test_the_head_is_the_ridge_regression_of_what_comes_next(pairing: str) -> None:
    model = fitted(0.5, pairing=pairing)
    h, e = pairs(model)
    ridge = torch.diag(torch.tensor([0.5] * 8 + [0.0])).double()
    torch.testing.assert_close(
        model.head.T.double(), torch.linalg.solve(h.T @ h + ridge, h.T @ e), rtol=1e-4, atol=1e-5
    )


def test_scores_are_what_it_predicts_against_the_embeddings() -> None:
    model = fitted()
    scores = model.score(DATA.history(), np.arange(64))
    items = torch.from_numpy(DATA.history().sequences(8)[0])
    with torch.no_grad():
        h = model.inner.network.encoder.read(OrderedItems(items, 20))
        expected = (h @ model.head.T[:-1] + model.head.T[-1]) @ model.inner.space.items.T
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)


def test_no_chain_of_the_same_network_is_nearer_to_what_comes_next() -> None:
    """In the data that both have learned from, whatever its scale."""
    model = fitted(1e-6)
    h, e = pairs(model)
    least = float((h @ model.head.T.double() - e).square().mean())
    network = model.inner.network
    with torch.no_grad():
        strong = h[:, :-1].float() @ network.w_condition
        weak = (network.encoder.null @ network.w_condition).expand(len(e), -1)
        for scale in (0.0, 1.0, 3.0):
            model.inner.infer_with({"guidance_scale": scale})
            sampler = model.inner._sampler(torch.zeros(1, 8), None, None)
            chain = affine_chain(network, sampler.steps, sampler.scales)
            x_0 = chain(torch.zeros(len(e), 8), weak, strong, lambda _: torch.zeros(1))
            assert float((x_0.double() - e).square().mean()) > least


@pytest.mark.parametrize(
    "of", [{"model": "diffurec"}, {"model": "sasrec"}, {"model": "dreamrec", "params": {"denoiser": "mlp"}}]
)
def test_other_models_are_refused(of: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="only diffusion on item embeddings with an encoder and a linear denoiser can"):
        models.configure("ridge_head", {"of": of}, "--set")
