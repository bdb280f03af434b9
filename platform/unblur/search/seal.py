"""The seal of a finished trial: a digest of what was recorded, by which damage to the content is known."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

SEAL = "seal"
INFERENCE = "inference"
"""Attribute of a trial: the settings of inference of its best evaluation."""


def seal(
    state: TrialState,
    params: Mapping[str, Any],
    values: Mapping[int, float],
    value: float | None,
    inference: Mapping[str, Any],
) -> str:
    """The digest of a trial's end; params: as Optuna stores them. The value of a pruned one is none of ours."""
    what = [state.name, dict(params), sorted(values.items()), value if state == TrialState.COMPLETE else None]
    what += [dict(inference)] if inference else []
    return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def is_broken(trial: FrozenTrial) -> bool:
    """Whether a trial has a seal of an end that is not the one recorded."""
    found, inference = trial.user_attrs.get(SEAL), trial.user_attrs.get(INFERENCE, {})
    return (
        found is not None
        and trial.state.is_finished()
        and found != seal(trial.state, trial.params, trial.intermediate_values, trial.value, inference)
    )


def put(trial: optuna.Trial, sealed: str) -> None:
    """Seal a trial that is about to be finished; a repeated attempt may find it finished already."""
    try:
        trial.set_user_attr(SEAL, sealed)
    except optuna.exceptions.UpdateFinishedTrialError:
        return
