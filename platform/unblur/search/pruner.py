"""Asynchronous successive halving (Li et al., MLSys 2020), decided from the reported values alone.

Optuna's own SuccessiveHalvingPruner notes a passed rung before anyone has acted on its verdict: a driver that dies
in between lets a beaten trial run on. Here the verdict can be asked for again at any time.
"""

import math

import optuna
from optuna.trial import FrozenTrial


class Asha(optuna.pruners.BasePruner):
    """At rungs of `first * reduction^k` epochs a trial goes on only if it is among the best 1/`reduction`, rounded
    up, of all that have reached the rung so far. The first `reduction - 1` to arrive pass: they have no one to race.

    What counts is a trial's best value up to the rung, since its best epoch's weights are what it is worth: one that
    is past its best is not beaten by one that never was as good. Nothing is stopped at its `last` epoch or later.
    """

    def __init__(self, first: int, reduction: int, last: int) -> None:
        self._first, self._reduction, self._last = first, reduction, last

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """True if the last reported value is the trial's first on some rung, and not good enough there."""
        rung = self._first
        while trial.last_step is not None and rung <= trial.last_step < self._last:
            if sum(epoch >= rung for epoch in trial.intermediate_values) == 1 and self._beaten(study, trial, rung):
                return True
            rung *= self._reduction
        return False

    def _beaten(self, study: optuna.Study, trial: FrozenTrial, rung: int) -> bool:
        arrived = [_at(other, rung) for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        rivals = [value for value in arrived if value is not None]
        places = math.ceil((len(rivals) + 1) / self._reduction)
        own = max(trial.intermediate_values.values())
        return len(rivals) + 1 >= self._reduction and sum(value > own for value in rivals) >= places


def _at(trial: FrozenTrial, rung: int) -> float | None:
    """The trial's best value up to the rung, or to its first evaluation after it; None if it did not get there."""
    arrival = min((epoch for epoch in trial.intermediate_values if epoch >= rung), default=None)
    if arrival is None:
        return None
    return max(value for epoch, value in trial.intermediate_values.items() if epoch <= arrival)
