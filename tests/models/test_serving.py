"""A served model answers histories of raw ids, and its dial is turned by each request for itself."""

from typing import Any

import numpy as np
import pytest
from tests.helpers.synthetic import communities

from unblur import models
from unblur.errors import UserError
from unblur.models.serving import Request, ServedModel

DATA = communities()
HISTORIES = [["0", "1"], ["11", "12", "13"], []]


def served(name: str, **params: Any) -> ServedModel:
    made = models.model_class(name)(models.configure(name, params, "test"), DATA.n_users, DATA.n_items)
    if hasattr(made, "fit"):
        made.fit(DATA)
        return ServedModel(made, DATA.items.tolist())
    return ServedModel(made.eval(), DATA.items.tolist())


@pytest.mark.parametrize("name", ["cfg_diffrec", "gaussian_cfg", "cfg_multi_vae"])
def test_a_request_with_a_scale_is_answered_as_by_a_model_that_has_it(name: str) -> None:
    size = {} if name == "gaussian_cfg" else {"dims": [8]}
    mine, other = (served(name, guidance_scale=scale, **size) for scale in (0.0, 6.0))
    before = mine.recommend(HISTORIES, 12)
    turned = mine.recommend(HISTORIES, 12, guidance_scale=6.0)
    assert turned == other.recommend(HISTORIES, 12) and turned != before
    assert mine.recommend(HISTORIES, 12) == before, "of this request alone"
    assert mine.recommender.config.guidance_scale == 0


def test_what_is_excluded_is_given_to_nobody() -> None:
    ease = served("ease")
    all_of_it = ease.recommend(HISTORIES, 20)
    banned = [all_of_it[0][0], all_of_it[1][2], "unheard of", ""]
    without = ease.recommend(HISTORIES, 20, exclude=banned)
    for full, rest in zip(ease.recommend(HISTORIES, 40), without, strict=True):
        assert rest == [item for item in full if item not in banned][:20]


def test_a_dial_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match="params: guidance_scale = 2: this model has no guidance; leave it out"):
        served("ease").recommend(HISTORIES, guidance_scale=2.0)
    with pytest.raises(UserError, match="guidance_scale = nan"):
        served("cfg_diffrec", dims=[8]).recommend(HISTORIES, guidance_scale=float("nan"))
    assert np.isfinite(served("cfg_diffrec", dims=[8]).recommender.config.guidance_scale)


def test_clients_that_are_answered_together_get_what_each_would_get_alone() -> None:
    model = served("cfg_diffrec", dims=[8])
    asked = [
        Request(HISTORIES[:1], 3),
        Request(HISTORIES[1:], 3),  # with the first
        Request(HISTORIES, 5, 2.0, ("0", "20")),
        Request(HISTORIES, 0),  # a mistake, of this one alone
        Request([], 3),
        Request(HISTORIES[:1], 5, 4.0, ("0", "20")),
    ]
    found = model.answers(asked)
    wrong = found.pop(3)
    assert isinstance(wrong, UserError) and "k = 0" in str(wrong)
    assert found == [model.recommend(each.histories, *each.dials) for each in asked if each.k]


def test_clients_with_the_same_dials_are_scored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, blocks = served("ease"), list[int]()
    score = type(model.recommender).score
    monkeypatch.setattr(type(model.recommender), "score", lambda self, h, u: blocks.append(len(u)) or score(self, h, u))
    model.answers([Request(HISTORIES, 3), Request(HISTORIES, 4), Request(HISTORIES[:1], 3)])
    assert sorted(blocks) == [3, 4]
