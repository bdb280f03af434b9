"""Which parameters mattered: functional ANOVA (Hutter et al. 2014) by Optuna, on a study made of MLflow's trials."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from unblur.reporting.runs import StudyRuns, Trial
from unblur.training.record import State

LEAST, MOST = 8, 300  # trials: fewer tell nothing; more take minutes and change little
TREES = 16


@dataclass(frozen=True)
class Importance:
    """Parameter -> share of the variance, largest first; empty when there is too little to go by."""

    shares: dict[str, float] = field(default_factory=dict)
    caption: str = ""

    def first(self, names: Sequence[str], most: int) -> tuple[list[str], str]:
        """At most so many of these parameters, the most important first, and a sentence on which of them these are."""
        order = sorted(names, key=lambda name: -self.shares.get(name, 0.0))
        if len(order) <= most:
            return order, ""
        if not self.shares:
            return order[:most], f" {most} of {len(order)} parameters: too few trials ended to say which matter most."
        return order[:most], f" The {most} parameters that mattered most of {len(order)}."


def importance(study: StudyRuns) -> Importance:
    """The importance of the parameters that every completed trial has."""
    trials = [trial for trial in study.trials if trial.state == State.COMPLETE and trial.value is not None]
    names = {name for trial in trials for name in trial.params}
    always = sorted(name for name in names if all(name in trial.params for trial in trials))
    ranges = {name: found for name in always if (found := _range([trial.params[name] for trial in trials]))}
    if len(trials) < LEAST or not ranges or len({trial.value for trial in trials}) == 1:
        return Importance()
    chosen = [trials[int(i)] for i in np.linspace(0, len(trials) - 1, min(MOST, len(trials)))]
    shares = _fanova(chosen, ranges)
    caption = f"fANOVA over {len(chosen)} completed trials"
    if len(chosen) < len(trials):
        caption += f", evenly drawn from {len(trials)}"
    if conditional := sorted(names - set(always)):
        caption += f"; without {', '.join(conditional)}, which not every trial has"
    return Importance(shares, caption + ".")


def _fanova(trials: Sequence[Trial], ranges: dict[str, BaseDistribution]) -> dict[str, float]:
    logging.getLogger("optuna").setLevel(logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for trial in trials:
        params = {name: _encoded(trial.params[name], each) for name, each in ranges.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=trial.value))
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def _range(values: Sequence[Any]) -> BaseDistribution | None:
    """The space that the values seem to come from; None when they are all the same."""
    kinds = sorted({_text(value) for value in values})
    if len(kinds) < 2:
        return None
    if not all(_is_number(value) for value in values):
        return CategoricalDistribution(kinds)
    low, high = float(min(values)), float(max(values))
    return FloatDistribution(low, high, log=low > 0 and high > 100 * low)


def _encoded(value: Any, distribution: BaseDistribution) -> Any:
    return float(value) if isinstance(distribution, FloatDistribution) else _text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    return json.dumps(value)
