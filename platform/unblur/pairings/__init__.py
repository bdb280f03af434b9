"""Pairings: from which part of a history x_0 is made, and from which the condition. One file per choice."""

from typing import Any

import numpy as np

from unblur.data.dataset import History
from unblur.diffusion.condition import Condition
from unblur.registry import modules

PAIRINGS = modules("pairing", __name__)


class Pairing:
    """A part of this package: one file with this class, named `Pairing(config)`, and its `Config`.

    At inference nothing is paired: the condition is the whole history.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    def divide(self, history: History, rng: np.random.Generator) -> tuple[History, History]:
        """What x_0 is made of and what the condition is made of, for all users, once an epoch; rng is the epoch's.

        Both are binary, with ranks that say how recent an entry counts (the newest weighs most). A user whose x_0 is
        empty is no example of that epoch.
        """
        return history, history

    def corrupt(self, condition: Condition) -> Condition:
        """The condition as a training step shows it."""
        return condition
