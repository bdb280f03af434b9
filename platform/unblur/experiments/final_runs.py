"""The retrains of one configuration, one per seed: a record like a study's, kept as files beside the models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unblur.files import read_json, under
from unblur.search.space import Parameter
from unblur.seeds import derive
from unblur.tracking.names import PER_CONFIGURATION, retrain_number
from unblur.training.record import State, TrialRecord
from unblur.training.task import OUTCOME


@dataclass(frozen=True)
class RetrainIdentity:
    """What the search needs to know: the seed from which those of the retrains follow, and the metric."""

    seed: int
    metric: str


class Retrains:
    """What is done, and what is left to do; the outcome file that a finished retrain leaves is the truth."""

    def __init__(
        self,
        folder: str,
        configuration: int,
        params: dict[str, Any],
        seed: int,
        metric: str,
        swept: Mapping[str, Parameter] | None = None,
    ) -> None:
        self.folder, self.params, self.swept = folder, params, dict(swept or {})
        self.first = retrain_number(configuration, 0)
        self.identity = RetrainIdentity(derive("retrain", seed, configuration), metric)
        self._asked: set[int] = set()
        self._failed: dict[int, str] = {}

    def numbers(self, seeds: int) -> list[int]:
        """The retrains of the first `seeds` seeds."""
        return list(range(self.first, self.first + seeds))

    def is_one(self, number: int) -> bool:
        """Whether the number is that of a retrain of this configuration, whatever its seed."""
        return self.first <= number < self.first + PER_CONFIGURATION

    def outcome(self, number: int) -> dict[str, Any] | None:
        """The epoch, value, validation metrics and parameter count of a finished retrain."""
        return read_json(under(self.home(number), OUTCOME))

    def home(self, number: int) -> str:
        """The folder of a retrain."""
        return under(self.folder, f"{number:05d}")

    def failures(self) -> dict[int, str]:
        """Why retrains failed in this process, by number."""
        return dict(self._failed)

    # what Ray Tune's hooks ask of a study

    def missing(self, seeds: int) -> int:
        return sum(self.outcome(number) is None for number in self.numbers(seeds))

    def settle(self) -> list[TrialRecord]:
        return []

    def ask(self) -> tuple[int, dict[str, Any]]:
        number = self.first
        while number in self._asked or self.outcome(number) is not None:
            number += 1
        self._asked.add(number)
        return number, self.params

    def report(self, number: int, epoch: int, value: float) -> bool:
        return False

    def complete(self, number: int, value: float | None = None) -> TrialRecord:
        if self.outcome(number) is None:
            return self.fail(number, "it ended without leaving a model")
        return self._ended(number, State.COMPLETE)

    def prune(self, number: int) -> TrialRecord:
        raise AssertionError("retrains are not pruned")

    def fail(self, number: int, reason: str) -> TrialRecord:
        self._failed[number] = reason
        return self._ended(number, State.FAIL, reason)

    def release(self) -> None:
        self._asked.clear()

    def _ended(self, number: int, state: State, reason: str | None = None) -> TrialRecord:
        return TrialRecord(number, state, self.params, reason=reason)
