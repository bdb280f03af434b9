"""What parameters need of the data, and what is done where the data lack it."""

from dataclasses import replace

import pytest
from tests.helpers.synthetic import communities, with_dislikes

from unblur import models
from unblur.errors import UserError
from unblur.models.needs import refuse_unmet, refuse_unserved, unmet
from unblur.parts import ORDER, RATINGS

ORDERED, RATED = communities(), with_dislikes(communities())
UNORDERED = replace(ORDERED, train_rank=None, valid_rank=None)


def test_order_and_ratings_are_needed_by_these_parameters() -> None:
    """By name, since a parameter that forgets to say so is searched in vain, or stops a training half-way."""
    found = {ORDER: set(), RATINGS: set()}
    for name in models.names():
        for field, need in unmet(models.config_class(name), UNORDERED).items():
            found[need.what].add(field)
    assert found[ORDER] >= {"w_min", "w_max", "condition_w_min", "recent_share"}
    assert found[RATINGS] == {"dislike_weight", "triplet_weight"}


def test_data_with_order_and_ratings_serve_everything() -> None:
    for name in models.names():
        assert unmet(models.config_class(name), RATED) == {}


@pytest.mark.parametrize("name", models.names())
def test_neutral_values_are_accepted_by_data_that_lack_everything(name: str) -> None:
    config_class = models.config_class(name)
    if config_class.NEEDS:
        with pytest.raises(UserError, match=f"{name} needs"):
            refuse_unserved(config_class, UNORDERED)
        return
    needs = unmet(config_class, UNORDERED)
    known = models.configure(name, {}, "test").model_dump()
    constants = {field: need.neutral for field, need in needs.items() if field in known}
    config = models.configure(name, constants, "test")
    refuse_unmet(config, UNORDERED)
    model = models.model_class(name)(config, UNORDERED.n_users, UNORDERED.n_items)
    if hasattr(model, "batches"):
        assert next(iter(model.batches(UNORDERED, 0))).size > 0
    else:
        model.fit(UNORDERED)


def test_a_recency_weight_without_order_is_refused_by_its_name() -> None:
    with pytest.raises(UserError, match=r"w_min = 0.5 needs an order in time"):
        refuse_unmet(models.configure("ease", {"w_min": 0.5}, "test"), UNORDERED)


def test_guided_models_name_an_unguided_one_that_exists() -> None:
    counterparts = {name: models.model_class(name).UNGUIDED for name in models.names()}
    guided = {name: plain for name, plain in counterparts.items() if plain}
    known = {"cfg_diffrec": "diffrec", "generative_cfg": "diffrec", "cfg_multi_vae": "multi_vae"}
    assert known.items() <= guided.items()
    assert all(plain in counterparts and not counterparts[plain] for plain in guided.values())
