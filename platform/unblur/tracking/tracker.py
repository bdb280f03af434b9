"""The study in MLflow: a parent run, a child run per trial, final run or cell. Used by the driver, the one writer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unblur.energy import WORLD_GRAMS
from unblur.redaction import redact
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.delivery import Delivery
from unblur.tracking.runs import Kind, LoggedDataset, Record, Run, finite, now, spread, text
from unblur.tracking.spending import total
from unblur.tracking.writer import Writer
from unblur.training.record import State

DIED = "interrupted: its driver died"


class Tracker:
    """One study's runs. Nothing here waits for MLflow except `open_study`, `flush` and `close`.

    Everything else is put in a queue and delivered in order by one thread, also after MLflow was away. Each run is
    known by its kind and number, so that a resumed study finds its runs again, and no epoch is logged twice.
    """

    def __init__(self, store: Store, experiment: str) -> None:
        self.store = store
        self.experiment_id = store.experiment(experiment)
        self._runs: dict[tuple[Kind, int], Run] = {}
        self._marks: dict[str, str] = {}
        """Tags that all children have: by them MLflow's list finds the trials of one model."""
        self._delivery = Delivery(store.address)

    @property
    def parent_run_id(self) -> str:
        return self._study.id or ""

    def open_study(
        self,
        study_id: str,
        name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        dataset: LoggedDataset,
        kind: Kind = "study",
        begun: int | None = None,
    ) -> str:
        """Find the study's runs, or make its parent run; returns the parent's id. Raises UserError.

        begun: when the study began (ms since 1970), where it is older than this start.
        """
        if kind == "study" and names.MODEL in tags:
            self._marks = {names.MODEL: text(tags[names.MODEL])}
        self._writer = writer = Writer(self.store, self.experiment_id, study_id)
        with self.store.explained():
            self._study = study = writer.find(kind, 0) or Run(kind, 0)
            if study.id is None:
                writer.create(study, None, name, begun or now(), {names.NOTE: name})
            if study.status != names.STATUS[State.COMPLETE]:  # what is finished stays so until there is a new result
                writer.running(study)
            writer.tags(study, {**tags, names.DATASET_DIGEST: dataset.digest})
            writer.params(study, self._missing(study, params))
            writer.dataset(study, dataset)
            self._runs = {(kind, 0): study}
            for run in writer.children(study):
                self._runs.setdefault((run.kind, run.number), run)
            self.end_running(DIED)  # nobody else drives the study, so nothing of it runs
        return self.parent_run_id

    @property
    def worked_on(self) -> tuple[str, str]:
        """The versions and commits that began the study and went on with it, newest last (`0.2.0, 0.3.0`)."""
        return self._study.version, self._study.commit

    def start(self, kind: Kind, number: int, params: Mapping[str, Any], name: str | None = None) -> None:
        """A trial, final run or cell begins, or goes on after an interruption."""
        run = self._ensure(kind, number, params, name)
        self._work_on(self._study)
        self._work_on(run)
        if run.status != "RUNNING":
            run.status, run.state = "RUNNING", State.RUNNING
            self._put(run, self._writer.running)

    def tags_of_work(self, kind: Kind, number: int) -> dict[str, str]:
        """The tags that say which versions and commits worked on a run."""
        run = self._ensure(kind, number)
        return {names.VERSION: run.version, names.COMMIT: run.commit}

    def log(self, kind: Kind, number: int, epoch: int, metrics: Mapping[str, float], when: int | None = None) -> None:
        """The metrics of one epoch; those logged before, in this process or an earlier one, are left out.

        when: ms since 1970 [now].
        """
        run = self._ensure(kind, number)
        news = run.news(epoch, metrics)
        good = finite(news)
        if good:
            self._put(run, self._writer.metrics, good, epoch, when or now())
        if bad := sorted(news.keys() - good.keys()):
            self._put(run, self._writer.tags, {names.NOT_FINITE: f"{', '.join(bad)} at epoch {epoch}"})

    def sample(self, metrics: Mapping[str, float]) -> None:
        """Measurements that belong to no epoch, on the study's run: the first of all is step 1; a resume goes on."""
        study = self._study
        step = 1 + max((study.last[name][0] for name in metrics if name in study.last), default=0)
        self._put(study, self._writer.metrics, finite(study.news(step, metrics)), step, now())

    def note(self, kind: Kind, number: int, tags: Mapping[str, Any]) -> None:
        """Set tags of a trial, final run or cell."""
        self._tag(self._ensure(kind, number), tags)

    def end(self, kind: Kind, number: int, state: State, reason: str | None = None) -> None:
        """A trial, final run or cell has ended; a reason of several lines (a traceback) is kept as `reason.txt`."""
        self._end(self._ensure(kind, number), state, reason)

    def reconcile(self, records: Iterable[Record]) -> None:
        """Make MLflow agree with the study's own record: what is missing is added, once; nothing is removed.

        To be called before anything runs: what the record has as running was interrupted.
        """
        for record in records:
            run = self._ensure(record.kind, record.number, record.params, record.name, record.begun)
            for epoch in sorted(record.metrics):
                self.log(record.kind, record.number, epoch, record.metrics[epoch], record.times.get(epoch))
            wanted = {**self._marks, **record.tags}
            if lost := {tag: value for tag, value in wanted.items() if tag not in run.tags}:
                self._tag(run, lost)
            interrupted = record.state == State.RUNNING
            state, reason = (State.INTERRUPTED, DIED) if interrupted else (record.state, record.reason)
            if run.status != names.STATUS[state]:
                self._end(run, state, reason, record.ended)
            elif run.state != state:
                run.state = state
                self._tag(run, {names.STATE: str(state)})

    def numbers(self, kind: Kind) -> set[int]:
        """Of the study's runs of this kind that are known."""
        return {number for known, number in self._runs if known == kind}

    def supersede(self, kind: Kind, numbers: Iterable[int]) -> None:
        """Set runs aside whose numbers are given again: they stay, under a kind that nobody looks for."""
        for number in numbers:
            if run := self._runs.pop((kind, number), None):
                self._put(run, self._writer.tags, {names.KIND: names.SUPERSEDED})
                self._end(run, State.INTERRUPTED, "the study's record has lost it")

    def finish(
        self,
        metrics: Mapping[str, float],
        values: Mapping[str, Sequence[float]],
        artifacts: Mapping[str, Path] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """The study's result on the parent: mean and standard deviation of `values` (per seed), what trainings cost.

        The values themselves are in its file `values.json`, and on the final runs. artifacts: folder in MLflow ("" for
        the top) -> file or folder here, which must stay until `close`.
        """
        self._work_on(self._study)
        study, lists = self._study, {name: list(each) for name, each in values.items()}
        self.note_study(tags or {}, {**spread(lists), **self._spent(), **metrics}, {"values.json": text(lists)})
        for folder, path in (artifacts or {}).items():
            self._put(study, self._writer.artifact, path, folder)
        self._end(study, State.COMPLETE, None)

    def _spent(self) -> dict[str, float]:
        """What all children's trainings took together, of those that say so."""
        children = [run.newest for run in self._runs.values() if run is not self._study]
        told = total(each for each in children if names.FACTS["seconds"] in each)
        co2e = {names.KG_CO2E: told[names.KWH] * WORLD_GRAMS / 1000} if names.KWH in told else {}
        return {**told, **co2e} if any(told.values()) else {}

    def note_study(
        self,
        tags: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        """Set tags and metrics of the study and write files (name -> content), also after its end."""
        if news := self._study.changes(finite(metrics or {})):
            self._put(self._study, self._writer.metrics, news, 0, now())
        if tags:
            self._put(self._study, self._writer.tags, dict(tags))
        for name, content in (files or {}).items():
            self._put(self._study, self._writer.file, name, content)

    def end_running(self, reason: str) -> None:
        """The trials, final runs and cells that run are interrupted; the next start goes on with them."""
        for run in list(self._runs.values()):
            if run is not self._study and run.status == "RUNNING":
                self._end(run, State.INTERRUPTED, reason)

    def end_study(self, state: State, reason: str | None = None) -> None:
        """The study stops without a new result: FAIL, or INTERRUPTED (which MLflow shows as killed).

        One that had come to its end before, and went on with more trials for example, keeps that result and its state.
        """
        if self._study.status == names.STATUS[State.COMPLETE]:
            return
        self._end(self._study, state, reason)

    def states(self, kind: Kind) -> dict[int, str]:
        """What the runs of this kind are, by number; may be asked in any thread, as may `newest`."""
        return {run.number: run.state for run in list(self._runs.values()) if run.kind == kind}

    def newest(self, kind: Kind, metric: str) -> dict[int, tuple[int, float]]:
        """Epoch and value of what was last logged of a metric, for the runs of this kind that have it, by number."""
        runs = [run for run in list(self._runs.values()) if run.kind == kind]
        return {run.number: found for run in runs if (found := run.last.get(metric))}

    @property
    def waiting(self) -> int:
        """How many writes MLflow has not yet."""
        return self._delivery.waiting

    @property
    def away(self) -> bool:
        """Whether MLflow does not answer just now."""
        return self._delivery.away

    def flush(self, timeout: float) -> bool:
        """Wait until MLflow has everything, at most `timeout` seconds; says whether it has."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 30) -> str | None:
        """Deliver what is left, at most `timeout` seconds; then None, or a sentence on what did not arrive."""
        return self._delivery.close(timeout)

    def _ensure(
        self,
        kind: Kind,
        number: int,
        params: Mapping[str, Any] | None = None,
        name: str | None = None,
        begun: int | None = None,
    ) -> Run:
        run = self._runs.get((kind, number))
        if run is None:
            run = self._runs[kind, number] = Run(kind, number)
            run.tags |= self._marks.keys()
            self._put(run, self._writer.create, self._study, name or run.name, begun or now(), self._marks)
        if missing := self._missing(run, params or {}):
            self._put(run, self._writer.params, missing)
        return run

    def _work_on(self, run: Run) -> None:
        if tags := run.worked_on():
            self._tag(run, tags)

    def _tag(self, run: Run, tags: Mapping[str, Any]) -> None:
        run.tags |= tags.keys()
        run.version, run.commit = tags.get(names.VERSION, run.version), tags.get(names.COMMIT, run.commit)
        self._put(run, self._writer.tags, dict(tags))

    def _missing(self, run: Run, params: Mapping[str, Any]) -> dict[str, str]:
        missing = {key: text(value) for key, value in params.items() if key not in run.params}
        run.params |= missing.keys()
        return missing

    def _end(self, run: Run, state: State, reason: str | None, when: int | None = None) -> None:
        run.status, run.state = names.STATUS[state], state
        lines = redact(reason or "").strip().splitlines() or [""]
        tags = {names.STATE: str(state)}
        if run.reason != lines[-1]:  # also when an interrupted study has ended well after all
            run.reason = tags[names.REASON] = lines[-1]
        self._put(run, self._writer.tags, tags)
        if len(lines) > 1:
            self._put(run, self._writer.file, "reason.txt", "\n".join(lines))
        self._put(run, self._writer.ended, run.status, when or now())

    def _put(self, run: Run, act: Callable[..., None], *arguments: Any) -> None:
        self._delivery.put(run.name, lambda again: act(run, *arguments, again=again))
