"""Asynchronous successive halving (Li et al., MLSys 2020), decided from the reported values alone.

Optuna's own SuccessiveHalvingPruner notes a passed rung before anyone has acted on its verdict: a driver that dies
in between lets a beaten trial run on. Here the verdict can be asked for again at any time.
"""

import math

import optuna
from optuna.trial import FrozenTrial


class Asha(optuna.pruners.BasePruner):
    """At rungs of `first * reduction^k` epochs a trial goes on only if it is among the best 1/`reduction`, rounded
    up, of all that have reached the rung so far. The first `reduction - 1` to arrive pass: they have no one to race."""

    def __init__(self, first: int, reduction: int) -> None:
        self._first, self._reduction = first, reduction

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """True if the last reported value is the trial's first on some rung, and not good enough there."""
        rung = self._first
        while trial.last_step is not None and rung <= trial.last_step:
            if sum(epoch >= rung for epoch in trial.intermediate_values) == 1 and self._beaten(study, trial, rung):
                return True
            rung *= self._reduction
        return False

    def _beaten(self, study: optuna.Study, trial: FrozenTrial, rung: int) -> bool:
        arrived = [_at(other, rung) for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        rivals = [value for value in arrived if value is not None]
        places = math.ceil((len(rivals) + 1) / self._reduction)
        own = trial.intermediate_values[trial.last_step or 0]
        return len(rivals) + 1 >= self._reduction and sum(value > own for value in rivals) >= places


def _at(trial: FrozenTrial, rung: int) -> float | None:
    """The trial's first value at or after the rung, if it got there."""
    epoch = min((epoch for epoch in trial.intermediate_values if epoch >= rung), default=None)
    return None if epoch is None else trial.intermediate_values[epoch]
