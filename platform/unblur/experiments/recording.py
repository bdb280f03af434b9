"""Recording of trials and final runs in MLflow, as a listener."""

import getpass
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from unblur import provenance
from unblur.errors import RunFailed, UserError
from unblur.experiments.context import command
from unblur.experiments.kept_reports import KeptReports, Reports
from unblur.experiments.prepared import PreparedData
from unblur.running.resources import Resources
from unblur.running.work import Listener
from unblur.signals import closing
from unblur.tracking import names, views
from unblur.tracking.client import Store
from unblur.tracking.runs import Kind, Record
from unblur.tracking.spending import spent
from unblur.tracking.system import sampled
from unblur.tracking.tracker import Tracker
from unblur.tracking.views import View
from unblur.training.record import State, TrialRecord
from unblur.training.report import Progress

FORCED_SECONDS = 2.0
"""For the last writes to MLflow of a process that is ended by force."""


class Recorder(Listener):
    """A listener that logs trials, final runs or cells as child runs; `metric` is the one that decides.

    resources: what each has. kept: where a copy of what they report is kept, if anywhere.
    """

    def __init__(
        self, tracker: Tracker, kind: Kind, metric: str, resources: Resources, kept: KeptReports | None = None
    ) -> None:
        self.tracker, self.kind, self.metric, self.resources, self.kept = tracker, kind, metric, resources, kept
        self._noted: dict[int, dict[str, Any]] = {}

    def started(self, number: int, params: dict[str, Any]) -> None:
        self.tracker.start(self.kind, number, params, self.name(number))
        if self.kind == "final":
            self.tracker.note("final", number, names.final_tags(number))
        if self.kept:
            self.kept.begin(number, params, self.tracker.tags_of_work(self.kind, number))

    def progressed(self, number: int, progress: Progress) -> None:
        metrics, chosen = names.of_progress(progress, self.metric), dict(progress.inference)
        metrics |= spent(progress.facts, self.resources.all_cpus, self.resources.all_gpus)
        self.tracker.log(self.kind, number, progress.epoch, metrics)
        if self.kept:
            tags = {names.INFERENCE: chosen} if chosen else {}
            self.kept.add(number, progress.epoch, metrics, tags, at_once=self.tracker.away)
        if chosen and chosen != self._noted.get(number):
            self._noted[number] = chosen
            self.tracker.note(self.kind, number, {names.INFERENCE: chosen})

    def ended(self, number: int, state: State, reason: str | None) -> None:
        tags = {names.DIVERGED: reason} if state == State.COMPLETE and reason else {}
        if tags:
            self.tracker.note(self.kind, number, tags)
        if self.kept:
            self.kept.end(number, tags)
        self.tracker.end(self.kind, number, state, None if state == State.COMPLETE else reason)

    def name(self, number: int) -> str | None:
        """The run's name as people see it, unless its kind and number are enough."""
        return final_name(number) if self.kind == "final" else None


def final_name(number: int) -> str:
    """The name of a final run as people see it."""
    tags = names.final_tags(number)
    return f"final run of trial {tags[names.CONFIGURATION]:04d}, seed {tags[names.SEED]}"


def as_record(trial: TrialRecord, metric: str, kept: Reports | None = None) -> Record:
    """What the study knows of a trial, and what is kept of its reports, for MLflow to agree with."""
    known = {epoch: {names.valid(metric): value} for epoch, value in trial.values.items()}
    if trial.value is not None:
        known[max(known)][names.best(metric)] = trial.value
    record = Record("trial", trial.number, trial.params, trial.state, known, trial.reason)
    return with_reports(record, kept)


def with_reports(record: Record, kept: Reports | None) -> Record:
    """A record with what is kept of the run's reports; where they differ, the record is the truth."""
    if kept is None:
        return record
    epochs = sorted({*kept.metrics, *record.metrics})
    metrics = {epoch: {**kept.metrics.get(epoch, {}), **record.metrics.get(epoch, {})} for epoch in epochs}
    tags = {**kept.tags, **record.tags}
    return replace(record, metrics=metrics, tags=tags, times=kept.times, begun=kept.begun, ended=kept.ended)


@dataclass(frozen=True)
class ParentRun:
    """The run in MLflow of a study or an ablation; its trials, final runs or cells are children."""

    study: str
    """By which it is found again."""
    name: str
    """As people see it."""
    model: str
    params: Mapping[str, Any]
    kind: Literal["study", "ablation"] = "study"
    tags: Mapping[str, str] = field(default_factory=dict)
    begun: int | None = None
    """When it began (ms since 1970), where that was not in this start."""
    views: Sequence[View] = ()
    """That MLflow's pages have of its experiment."""


def _origin() -> dict[str, str]:
    """Who began a study from where, in MLflow's own words, and on what."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        user = ""
    return {
        names.USER: user,
        names.SOURCE: Path(sys.argv[0]).name,
        names.SOURCE_TYPE: "LOCAL",
        names.SOURCE_COMMIT: provenance.commit() or "",
        names.LIBRARIES: provenance.libraries(),
        names.MACHINE: provenance.machine(),
    }


@contextmanager
def recorded(store: Store, data: PreparedData, parent: ParentRun, console: Console) -> Iterator[Tracker]:
    """The tracker of a study, whose parent run is closed in whatever way the block ends."""
    tracker = Tracker(store, data.experiment)
    tags = {
        names.MODEL: parent.model,
        names.PROTOCOL: data.request.protocol,
        names.DATA_REQUEST: data.request.model_dump_json(),
        names.COMMAND: command(),
        **_origin(),
        **parent.tags,
    }
    views.save(store, tracker.experiment_id, parent.views)
    tracker.open_study(parent.study, parent.name, tags, parent.params, data.logged(), parent.kind, parent.begun)
    version, commit = tracker.worked_on
    if version != provenance.version():
        text = f"resuming a study of version {version or 'unknown'}{f' (commit {commit})' if commit else ''}"
        console.print(f"{text}; this is {provenance.version()}", markup=False)

    def interrupted() -> None:
        tracker.end_running("interrupted")
        tracker.end_study(State.INTERRUPTED, "interrupted")

    def forced() -> None:
        interrupted()
        tracker.close(FORCED_SECONDS)

    try:
        with closing(forced), sampled(tracker):
            yield tracker
    except KeyboardInterrupt:
        interrupted()
        raise
    except UserError as error:  # trials have run: this is no mistake that could have been found before
        tracker.end_study(State.FAIL, str(error))
        raise RunFailed(str(error)) from None
    except Exception as error:
        tracker.end_study(State.FAIL, str(error))
        raise
    finally:
        if undelivered := tracker.close():
            console.print(undelivered, markup=False)
