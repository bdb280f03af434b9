"""The seal of a finished trial: a digest of what was recorded, by which damage to the content is known."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

SEAL = "seal"


def seal(state: TrialState, params: Mapping[str, Any], values: Mapping[int, float], value: float | None) -> str:
    """The digest of a trial's end; params: as Optuna stores them. The value of a pruned one is none of ours."""
    what = [state.name, dict(params), sorted(values.items()), value if state == TrialState.COMPLETE else None]
    return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def is_broken(trial: FrozenTrial) -> bool:
    """Whether a trial has a seal of an end that is not the one recorded."""
    found = trial.user_attrs.get(SEAL)
    return (
        found is not None
        and trial.state.is_finished()
        and found != seal(trial.state, trial.params, trial.intermediate_values, trial.value)
    )


def put(trial: optuna.Trial, sealed: str) -> None:
    """Seal a trial that is about to be finished; a repeated attempt may find it finished already."""
    try:
        trial.set_user_attr(SEAL, sealed)
    except optuna.exceptions.UpdateFinishedTrialError:
        return
