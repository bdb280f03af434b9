"""TPE whose draws depend on the record and a seed alone, not on what was drawn before in this process."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from unblur.seeds import derive


class Sampler(optuna.samplers.TPESampler):
    """One trial's sampler. Each lone draw has a stream of its own, named after the parameter, so that a trial whose
    driver died between two draws is completed as it would have been."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        own = optuna.samplers.TPESampler(seed=derive(param_name, self._seed, trial.number))
        return own.sample_independent(study, trial, param_name, param_distribution)
