"""A diffusion recommender with a closed-form expert: made once, joined at inference, kept with the model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.closed_forms import fitted
from tests.helpers.synthetic import communities
from tests.models.test_contract import scores, trained

from unblur import models
from unblur.data.artefacts import address
from unblur.diffusion.guided_sampler import GuidedSampler
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.experiments.artefacts import needed
from unblur.models.closed_form.blend import standardised
from unblur.models.diffusion._config import DiffusionConfig
from unblur.training.loop import with_artefacts

SPLIT = communities()
SLIST = {"model": "slist", "params": {"l2": 5.0, "gamma": 0.6}}
ACCEPTING = [
    name
    for name in models.names()
    if issubclass(models.config_class(name), DiffusionConfig)
    and models.configure(name, {}, "test").part("space").Space.OF_COUNTS
]
USERS = list(range(30))


def opinion(name: str, **params: Any) -> torch.Tensor:
    model = fitted(name, SPLIT, **params)
    return standardised(model.score(SPLIT.history().rows(np.array(USERS)), np.array(USERS)))


def silent(model: Any) -> Any:
    """The model with a network that always returns zero."""
    with torch.no_grad():
        model.network.ends().w_out.zero_()
        model.network.ends().b_out.zero_()
    return model


@pytest.mark.parametrize("name", ACCEPTING)
@pytest.mark.parametrize("expert", [SLIST, "ease", {"model": "item_knn"}])
def test_beside_a_network_that_says_nothing_the_ranking_is_the_experts(name: str, expert: Any) -> None:
    model = silent(trained(name, SPLIT, epochs=1, expert=expert, expert_weight=0.5, t_prime_share=0.0))
    own = (
        SLIST if expert == SLIST else {"model": "ease", "params": {}} if expert == "ease" else {**expert, "params": {}}
    )
    found = scores(model, SPLIT, USERS)
    torch.testing.assert_close(found, 0.5 * opinion(own["model"], **own["params"]), rtol=1e-3, atol=1e-3)


def test_without_a_weight_it_is_not_there_to_the_bit() -> None:
    given = {"epochs": 2, "guidance_scale": 2.0}
    for params in ({}, {"loss": "multinomial"}, {"sampler": "ancestral"}):
        alone = scores(trained("generative_cfg", SPLIT, **given, **params), SPLIT, USERS)
        beside = trained("generative_cfg", SPLIT, expert=SLIST, **given, **params)
        assert scores(beside, SPLIT, USERS).equal(alone)
        beside.infer_with({"expert_weight": 0.5})
        assert not scores(beside, SPLIT, USERS).allclose(alone)
        beside.infer_with({"expert_weight": 0.0})
        assert scores(beside, SPLIT, USERS).equal(alone)


def test_the_hidden_chain_scores_as_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(
        "generative_cfg", SPLIT, epochs=3, normalize=True, guidance_scale=2.0, expert=SLIST, expert_weight=0.1
    )
    fast = scores(model, SPLIT, USERS)
    monkeypatch.setattr(GuidedSampler, "in_hidden_space", False)
    torch.testing.assert_close(fast, scores(model, SPLIT, USERS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["squared_error", "multinomial"])
def test_a_large_weight_is_the_expert_alone(loss: str) -> None:
    model = trained("generative_cfg", SPLIT, epochs=1, loss=loss, expert=SLIST, expert_weight=50.0)
    expected = opinion("slist", **SLIST["params"])
    assert scores(model, SPLIT, USERS).argmax(1).equal(expected.argmax(1))


def test_saved_and_loaded_it_is_still_there_and_no_checkpoint_has_it(tmp_path: Path) -> None:
    model = trained("generative_cfg", SPLIT, epochs=1, expert=SLIST, expert_weight=0.2)
    model.save(tmp_path)
    loaded = models.load(tmp_path)
    assert scores(loaded, SPLIT, USERS).equal(scores(model, SPLIT, USERS))
    assert not any("expert" in name for name in model.state_dict())


def test_it_is_made_once_for_configurations_that_share_it() -> None:
    configurations = [{"expert": each, "lr": lr} for each in (SLIST, "slist", "edlae", None) for lr in (0.1, 0.2)]
    artefacts = needed("generative_cfg", configurations)
    assert len(artefacts) == 3 == len({address(each, "digest", 0) for each in artefacts})
    spelt = {"model": "slist", "params": {"l2": 20.0}}  # the default
    assert needed("generative_cfg", [{"expert": spelt}]) == needed("generative_cfg", [{"expert": "slist"}])
    model = trained("generative_cfg", SPLIT, epochs=1, expert=SLIST)
    (matrix,) = with_artefacts(model, SPLIT).artefacts.values()
    np.testing.assert_array_equal(matrix, fitted("slist", SPLIT, **SLIST["params"]).matrix)


def test_it_helps_a_network_that_is_hardly_trained() -> None:
    model = trained("generative_cfg", SPLIT, epochs=1, expert="ease")
    alone = validate(model, SPLIT).metrics()["ndcg_at_5"]
    model.infer_with({"expert_weight": 1.0})
    assert validate(model, SPLIT).metrics()["ndcg_at_5"] > 1.5 * alone


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("diffrec", {"expert": "slits"}, "Did you mean 'slist'"),
        ("diffrec", {"expert": "multi_vae"}, "multi_vae cannot be an expert: only models that are a matrix"),
        ("diffrec", {"expert": {"model": "slist", "params": {"l3": 1}}}, "l3"),
        ("diffrec", {"expert_weight": 0.1}, "give expert = slist"),
        ("l_diffrec", {"expert": "slist"}, "space = clustered_vae diffuses none"),
    ],
)
def test_experts_that_cannot_be_are_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        models.configure(name, params, "--set")


def test_an_expert_of_order_refuses_data_without() -> None:
    unordered = replace(SPLIT, train_rank=None, valid_rank=None)
    with pytest.raises(UserError, match="order"):
        trained("diffrec", unordered, epochs=1, expert="slist")
