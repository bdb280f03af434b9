"""Starting configurations favour no model: whoever weighs interactions by their age starts with the same weights."""

from functools import cache
from pathlib import Path

import pytest

from unblur.models import config_class, trained_by_gradient
from unblur.models.recency import RecencyConfig
from unblur.resources import named
from unblur.search.space import SearchSpace
from unblur.search.space_file import load_space

RECENCY = [("linear", "w_min", 1.0), ("linear", "w_min", 0.3), ("geometric", "gamma", 0.8)]
"""None, that of a line, that of a constant factor: round values, in the middle of every space's ranges."""
FILES = {name: file for name, file in named("search_spaces").items() if issubclass(config_class(name), RecencyConfig)}


@cache
def space(file: Path) -> SearchSpace:
    return load_space(file, config_class(file.stem))


def weighs(file: Path) -> bool:
    return "w_min" in space(file).parameters


def test_most_models_weigh_and_the_diffusion_models_are_among_them() -> None:
    models = {name for name, file in FILES.items() if weighs(file)}
    assert {"ease", "multi_vae", "lightgcn", "diffrec", "t_diffrec", "cfg_diffrec", "generative_cfg"} <= models


@pytest.mark.parametrize("name", FILES)
def test_recency_starts_are_the_same_for_every_model(name: str) -> None:
    if not weighs(FILES[name]):
        pytest.skip("its space draws none")
    starts = space(FILES[name]).enqueue
    for form, field, value in RECENCY:
        assert any(each.get("w_form") == form and each.get(field) == value for each in starts), (form, field, value)
    assert {"linear", "geometric"} <= set(space(FILES[name]).parameters["w_form"].corners)


@pytest.mark.parametrize("name", FILES)
def test_no_space_has_more_starts_than_a_short_search_has_trials(name: str) -> None:
    assert len(space(FILES[name]).enqueue) <= 4


@pytest.mark.parametrize("name", [name for name in named("search_spaces") if trained_by_gradient(name)])
def test_weights_may_be_averaged_in_every_space_and_are_not_at_its_start(name: str) -> None:
    found = space(named("search_spaces")[name])
    assert found.parameters["ema"].corners == [0.0, 0.98, 0.995]
    assert any(start["ema"] == 0 for start in found.enqueue)
