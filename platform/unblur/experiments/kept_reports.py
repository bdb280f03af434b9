"""What trials and final runs reported, kept in the storage: MLflow is made whole from it when a run there is lost."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from unblur.files import read_json, under, write_text

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
    """The reports of the runs of one kind of a study, in `folder`, a file for each."""

    folder: str
    kind: Literal["trial", "final"]
    _open: dict[int, Reports] = field(default_factory=dict)
    _saved: dict[int, float] = field(default_factory=dict)

    def of(self, number: int) -> Reports | None:
        """What is kept of a run; None where that is nothing, or damaged: it is a copy, and the record is elsewhere."""
        try:
            found = read_json(self._place(number))
            return None if found is None else Reports.model_validate(found)
        except (ValueError, ValidationError, OSError):
            return None

    def begin(self, number: int) -> None:
        """A run begins, or goes on from a checkpoint."""
        self._open[number] = self.of(number) or Reports(begun=now())
        self._saved[number] = time.monotonic()

    def add(self, number: int, epoch: int, metrics: dict[str, float], tags: dict[str, Any]) -> None:
        """One report of a run."""
        reports = self._open.setdefault(number, Reports(begun=now()))
        reports.metrics[epoch] = {**reports.metrics.get(epoch, {}), **metrics}
        reports.times[epoch] = now()
        reports.tags.update(tags)
        if time.monotonic() - self._saved.get(number, 0.0) > SAVE_SECONDS:
            self._save(number, reports)

    def end(self, number: int, tags: dict[str, Any]) -> None:
        """A run has ended for good."""
        if reports := self._open.pop(number, None):
            reports.tags.update(tags)
            self._save(number, reports.model_copy(update={"ended": now()}))

    def _save(self, number: int, reports: Reports) -> None:
        self._saved[number] = time.monotonic()
        try:
            write_text(self._place(number), reports.model_dump_json())
        except OSError as error:  # no room: the run is worth more than a copy of what it said
            log.warning("the reports of %s %d are not kept: %s", self.kind, number, error)

    def _place(self, number: int) -> str:
        return under(self.folder, f"{self.kind}-{number:05d}.json")


def now() -> int:
    """Milliseconds since 1970, as MLflow has times."""
    return time.time_ns() // 1_000_000
