"""The identity of a study: whatever makes another search of it makes another study."""

from typing import Any

import pytest
from tests.helpers.toy_study import SPACE, identity

from unblur.models import config_class
from unblur.parts import defaults
from unblur.search.identity import StudyIdentity, apart, left_to_defaults
from unblur.search.space import FloatRange, SearchSpace

EVALUATION = identity().evaluation
OTHER: dict[str, Any] = {
    "dataset": "other",
    "protocol": "noisy_natural",
    "evaluation": EVALUATION.model_copy(update={"history": "train+valid"}),
    "model": "another",
    "space": SearchSpace.model_validate({**SPACE, "enqueue": []}),
    "defaults": {"ema": 0.99},
    "swept": {"scale": FloatRange(type="float", low=0, high=1, stage="inference")},
    "metric": "recall_at_20",
    "epochs": 10,
    "eval_every": 3,
    "patience": 3,
    "validation_users": 5,
    "artefacts": {"embeddings": "an address"},
    "seed": 1,
    "training": 0,
}


def test_every_field_is_looked_at() -> None:
    assert OTHER.keys() == StudyIdentity.model_fields.keys()


@pytest.mark.parametrize("field", OTHER)
def test_another_value_is_another_study(field: str) -> None:
    assert identity(**{field: OTHER[field]}).hash != identity().hash == identity().hash


@pytest.mark.parametrize("field", EVALUATION.model_dump())
def test_so_is_every_part_of_how_it_is_evaluated(field: str) -> None:
    changed = EVALUATION.model_copy(update={field: "other"})
    assert identity(evaluation=changed).hash != identity().hash


SPACE_OF_PARTS = SearchSpace.model_validate(
    {
        "model": "cfg_diffrec",
        "parameters": {
            "denoiser": {"type": "choice", "values": ["mlp", "token_mix"]},
            "blocks": {"type": "int", "low": 1, "high": 3, "when": {"denoiser": "token_mix"}},
            "lr": {"type": "float", "low": 1e-4, "high": 1e-2},
        },
        "fixed": {"T": 5},
    }
)


def test_defaults_that_a_trial_can_take_are_part_of_it_and_no_others() -> None:
    config = config_class("cfg_diffrec")
    left = left_to_defaults(SPACE_OF_PARTS, config)
    assert not {"denoiser", "lr", "T"} & left.keys(), "given to every trial"
    assert {"dims", "heads", "blocks"} <= left.keys() and left["ema"] == 0, "of what can be chosen, and of the model"
    assert "time_dim" in config.model_fields and "time_dim" not in left, "of the denoiser linear alone"
    assert left == left_to_defaults(SPACE_OF_PARTS, config)


def test_a_changed_default_is_another_study_and_a_drawn_ones_is_none() -> None:
    config = config_class("cfg_diffrec")
    before = left_to_defaults(SPACE_OF_PARTS, config)
    assert left_to_defaults(SPACE_OF_PARTS, defaults(ema=0.99)(config)) == {**before, "ema": 0.99}
    assert left_to_defaults(SPACE_OF_PARTS, defaults(lr=0.5, T=9)(config)) == before
    assert identity(defaults=before).hash != identity(defaults={**before, "ema": 0.99}).hash


def test_a_new_study_says_what_sets_it_apart_from_the_nearest() -> None:
    others = {
        "toy-far-1": identity(epochs=1, seed=7).model_dump(mode="json"),
        "toy-near-1": identity(epochs=10, defaults={"ema": 0.0}).model_dump(mode="json"),
        "toy-data-1": identity(dataset="other").model_dump(mode="json"),
    }
    told = apart(identity(defaults={"ema": 0.99}), others)
    assert told == "a study of its own beside toy-near-1, which has defaults.ema = 0.0 (now 0.99), epochs = 10 (now 9)"
    assert apart(identity(dataset="a third"), others) is None
    older = {key: value for key, value in others["toy-near-1"].items() if key != "training"} | {"rules": 1}
    assert "nothing" in str(apart(identity(), {"toy-old-1": older}))
