"""What trials and final runs reported, kept in the storage: MLflow is made whole from it when a run there is lost."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from unblur import records
from unblur.files import under
from unblur.tracking.runs import now

log = logging.getLogger(__name__)
SAVE_SECONDS = 15.0
"""Between two writings of a run that goes on; as between two checkpoints."""


class Reports(BaseModel):
    """All reports of one run, with the times at which they came (ms since 1970)."""

    begun: int
    ended: int | None = None
    metrics: dict[int, dict[str, float]] = {}
    """By epoch, by their names in MLflow."""
    times: dict[int, int] = {}
    tags: dict[str, Any] = {}


@dataclass
class KeptReports:
    """The reports of runs, a file for each; place: where that of a run's number lies.

    A run is known by its number and parameters: where a number is given again, what the one before said is not its.
    """

    place: Callable[[int], str]
    _open: dict[int, Reports] = field(default_factory=dict)
    _params: dict[int, dict[str, Any]] = field(default_factory=dict)
    _saved: dict[int, float] = field(default_factory=dict)

    def of(self, number: int, params: Mapping[str, Any]) -> Reports | None:
        """What is kept of a run; None where that is nothing, or damaged: it is a copy, and the record is elsewhere."""
        try:
            found = records.read(self.place(number), _of(params))
            return None if found is None else Reports.model_validate(found)
        except (ValidationError, OSError):
            return None

    def begin(self, number: int, params: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
        """A run begins, or goes on from a checkpoint."""
        self._params[number] = dict(params)
        self._open[number] = self.of(number, params) or Reports(begun=now())
        self._open[number].tags.update(tags)
        self._saved[number] = time.monotonic()

    def add(
        self, number: int, epoch: int, metrics: dict[str, float], tags: dict[str, Any], at_once: bool = False
    ) -> None:
        """One report of a run that has begun; at_once: it may be lost otherwise, as MLflow does not take it."""
        reports = self._open[number]
        reports.metrics[epoch] = {**reports.metrics.get(epoch, {}), **metrics}
        reports.times[epoch] = now()
        reports.tags.update(tags)
        if at_once or time.monotonic() - self._saved[number] > SAVE_SECONDS:
            self._save(number, reports)

    def end(self, number: int, tags: dict[str, Any]) -> None:
        """A run has ended for good."""
        if reports := self._open.pop(number, None):
            reports.tags.update(tags)
            self._save(number, reports.model_copy(update={"ended": now()}))

    def _save(self, number: int, reports: Reports) -> None:
        self._saved[number] = time.monotonic()
        try:
            records.write(self.place(number), reports.model_dump(mode="json"), _of(self._params[number]))
        except OSError as error:  # no room: the run is worth more than a copy of what it said
            log.warning("the reports are not kept in %s: %s", self.place(number), error)


def in_folder(folder: str, kind: Literal["trial", "final"]) -> KeptReports:
    """The reports of the runs of one kind of a study, in a folder of their own."""
    return KeptReports(lambda number: under(folder, f"{kind}-{number:05d}.json"))


def _of(params: Mapping[str, Any]) -> str:
    return sha256(json.dumps(params, sort_keys=True, default=str).encode()).hexdigest()[:16]
