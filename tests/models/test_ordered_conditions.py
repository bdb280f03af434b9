"""Encoders that read the history in its order, in a composition."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.helpers.synthetic import communities
from tests.models.test_contract import trained

from unblur import models
from unblur.errors import UserError
from unblur.experiments.tune import _served
from unblur.models.needs import refuse_unmet
from unblur.search.space_file import load_space

SPLIT = communities(n_users=40)
UNORDERED = replace(SPLIT, train_rank=None, valid_rank=None)
PARTS: dict[str, Any] = {"encoder": "transformer", "embedding_dim": 8, "max_length": 4}
SPACE = """
model: cfg_diffrec
parameters:
  encoder: {type: choice, values: [bag, transformer]}
  blocks: {type: int, low: 1, high: 2, when: {encoder: transformer}}
enqueue:
  - {encoder: transformer, blocks: 2}
  - {encoder: bag}
"""


@pytest.mark.parametrize("denoiser", ["mlp", "dit", "cross_attention"])
def test_scores_know_the_order_of_the_newest_items_alone(denoiser: str) -> None:
    model = trained("generative_cfg", SPLIT, epochs=2, denoiser=denoiser, **PARTS)
    history, users = SPLIT.history(), np.arange(SPLIT.n_users)
    lengths = np.repeat(np.diff(history.matrix.indptr), np.diff(history.matrix.indptr))
    assert history.rank is not None
    first = replace(history, rank=np.where(history.rank < 2, 1 - history.rank, history.rank))
    newest = replace(history, rank=np.where(history.rank >= lengths - 2, 2 * lengths - 3 - history.rank, history.rank))
    known, of_first, of_newest = (model.score(each, users) for each in (history, first, newest))
    assert not known.allclose(of_newest, rtol=1e-4)
    assert not known.allclose(of_first, rtol=1e-4), "of 5 items the second is read and the first is not"


def test_what_is_told_of_a_batch_is_the_newest_items(tmp_path: Path) -> None:
    model = models.model_class("cfg_diffrec")(
        models.configure("cfg_diffrec", {**PARTS, "batch_size": 40}, "test"), SPLIT.n_users, SPLIT.n_items
    )
    (batch,) = model.batches(SPLIT, 0)
    order = np.random.default_rng([0, 0]).permutation(SPLIT.n_users)
    assert batch.examples.condition.tensor.equal(torch.from_numpy(SPLIT.history().rows(order).sequences(4)[0]))


def test_recency_weights_of_an_ordered_condition_are_refused() -> None:
    with pytest.raises(UserError, match=r"encoder = transformer .* reads items in theirs; leave it out"):
        models.configure("cfg_diffrec", {**PARTS, "condition_w_min": 0.5}, "--set")
    models.configure("cfg_diffrec", {**PARTS, "w_min": 0.5}, "--set")  # of x_0


def test_data_without_an_order_refuse_it_and_searches_leave_it_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="encoder = transformer needs an order in time"):
        refuse_unmet(models.configure("cfg_diffrec", PARTS, "test"), UNORDERED)
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    space, console = load_space(file, models.config_class("cfg_diffrec")), Console(record=True, quiet=True)
    served = _served(space, UNORDERED, console)
    assert served.parameters["encoder"].corners == ["bag"] and served.enqueue == [{"encoder": "bag"}]
    assert _served(space, SPLIT, console) == space
    for alone in (space.without("encoder", ["bag"]), served.fixing({"encoder": "transformer"})):
        with pytest.raises(UserError, match="encoder = transformer needs an order in time"):
            _served(alone, UNORDERED, console)
