"""The identity of a study: whatever makes another search of it makes another study."""

from typing import Any

import pytest
from tests.helpers.toy_study import SPACE, identity

from unblur.search.identity import StudyIdentity
from unblur.search.space import FloatRange, SearchSpace

EVALUATION = identity().evaluation
OTHER: dict[str, Any] = {
    "dataset": "other",
    "protocol": "noisy_natural",
    "evaluation": EVALUATION.model_copy(update={"history": "train+valid"}),
    "model": "another",
    "space": SearchSpace.model_validate({**SPACE, "enqueue": []}),
    "swept": {"scale": FloatRange(type="float", low=0, high=1, stage="inference")},
    "metric": "recall_at_20",
    "epochs": 10,
    "eval_every": 3,
    "patience": 3,
    "validation_users": 5,
    "artefacts": {"embeddings": "an address"},
    "seed": 1,
    "rules": 0,
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
