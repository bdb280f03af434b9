"""Guidance against somebody else's history: nothing is trained for it, and whose it is depends on the history alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities
from tests.models.test_contract import trained

from unblur import models
from unblur.data.dataset import History
from unblur.models.diffusion._others import OTHERS, OtherHistories

SPLIT = communities()
GENERATIVE = {"noise_scale": 1.0, "noise_min": 0.1, "noise_max": 0.99, "t_prime_share": 1.0}
KINDS = [{}, {"encoder": "transformer", "embedding_dim": 8}, {"denoiser": "dit"}]


def guided(**params: Any) -> Any:
    return trained("cfg_diffrec", SPLIT, epochs=2, guidance="independent", p_uncond=0.0, **GENERATIVE, **params)


def scores(model: Any, users: np.ndarray, **inference: Any) -> torch.Tensor:
    model.infer_with(inference)
    found: torch.Tensor = model.score(SPLIT.history().rows(users), users)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_weak_pass_is_told_of_another_history(kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, users = guided(**kind), np.arange(6)
    weak, own, double = (scores(model, users, guidance_scale=scale) for scale in (0.0, 1.0, 2.0))
    history, told = SPLIT.history().rows(users), model._told
    others = model._others.beside(history)
    monkeypatch.setattr(model, "_told", lambda _: (told(history)[0], told(others)[1]))
    torch.testing.assert_close(weak, scores(model, users, guidance_scale=1.0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(weak, own, atol=1e-4) and not torch.allclose(double, own, atol=1e-4)


def test_whose_history_it_is_depends_on_the_users_own_alone() -> None:
    model, users = guided(), np.arange(8)
    together = scores(model, users, guidance_scale=3.0)
    for user in users:
        torch.testing.assert_close(scores(model, users[[user]])[0], together[user], rtol=1e-4, atol=1e-5)


def test_histories_are_drawn_from_those_that_hold_something_and_by_seed() -> None:
    history = SPLIT.history()
    nobody = history.rows(np.zeros(0, dtype=np.int64))
    first, again, other = (OtherHistories.drawn(history, seed).history.matrix.toarray() for seed in (1, 1, 2))
    assert len(first) == min(OTHERS, (np.diff(history.matrix.indptr) > 0).sum()) and first.any(axis=1).all()
    assert (first == again).all() and (len(first) < OTHERS or (first != other).any())
    assert OtherHistories.drawn(history, 1).beside(nobody).matrix.shape == (0, SPLIT.n_items)
    chosen = {tuple(row) for row in OtherHistories.drawn(history, 1).beside(history).matrix.toarray()}
    assert len(chosen) > 10, "not the same for all"


def test_a_loaded_model_is_guided_as_before(tmp_path: Path) -> None:
    model, users = guided(encoder="transformer", embedding_dim=8, guidance_scale=2.0), np.arange(5)
    model.save(tmp_path)
    loaded = models.model_class("cfg_diffrec").load(tmp_path)
    history: History = SPLIT.history().rows(users)
    assert loaded.score(history, users).equal(model.score(history, users))
