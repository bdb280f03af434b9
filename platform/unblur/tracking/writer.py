"""The calls that reach MLflow. Each may be repeated without harm, so a write of unknown fate is simply sent again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from unblur.redaction import redact
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.runs import Kind, LoggedDataset, Run, from_mlflow, text
from unblur.training.record import State

BATCH = 100  # parameters that MLflow takes at once
PAGE = 1000  # runs that MLflow gives at once


class Writer:
    """Reads and writes the runs of one study. Knows no queue; `again` says that an earlier attempt failed."""

    def __init__(self, store: Store, experiment_id: str, study_id: str) -> None:
        self._client, self._experiment, self._study = store.client, experiment_id, study_id

    def find(self, kind: Kind, number: int) -> Run | None:
        wanted = {names.STUDY: self._study, names.KIND: kind, names.NUMBER: str(number)}
        found = self._client.search_runs([self._experiment], having(wanted), max_results=1)
        return from_mlflow(found[0]) if found else None

    def children(self, parent: Run) -> Iterator[Run]:
        """All child runs, oldest first; also those whose parent was deleted, which get the present one."""
        for run in self._all():
            if run.kind != parent.kind:
                if run.parent != parent.id:
                    self.tags(run, {names.PARENT: parent.id})
                yield run

    def _all(self) -> Iterator[Run]:
        wanted = {names.STUDY: self._study}
        order, token = ["attributes.start_time ASC"], None
        while True:
            page = self._client.search_runs(
                [self._experiment], having(wanted), max_results=PAGE, order_by=order, page_token=token
            )
            yield from map(from_mlflow, page)
            token = page.token
            if not token:
                return

    def create(
        self,
        run: Run,
        parent: Run | None,
        name: str,
        when: int,
        marks: Mapping[str, str] = MappingProxyType({}),
        again: bool = False,
    ) -> None:
        """Makes the run with the tags `marks`, unless an earlier attempt arrived after all; tells `run` its id."""
        found = self.find(run.kind, run.number) if again else None
        if found is not None:
            run.id = found.id
            return
        tags = {names.STUDY: self._study, names.KIND: run.kind, names.NUMBER: str(run.number)}
        tags |= {names.VERSION: run.version, names.COMMIT: run.commit, names.STATE: State.RUNNING, **marks}
        if parent is not None:
            tags[names.PARENT] = parent.id or ""
        made = self._client.create_run(self._experiment, start_time=when, tags=tags, run_name=name)
        run.id = made.info.run_id

    def params(self, run: Run, params: Mapping[str, str], again: bool = False) -> None:
        from mlflow.entities import Param

        every = [Param(key, value) for key, value in params.items()]
        for first in range(0, len(every), BATCH):
            self._client.log_batch(run.id, params=every[first : first + BATCH])

    def metrics(self, run: Run, metrics: Mapping[str, float], epoch: int, when: int, again: bool = False) -> None:
        """`when` is the time of the event, not of the delivery: MLflow drops an exact repetition."""
        from mlflow.entities import Metric

        self._client.log_batch(run.id, [Metric(name, value, when, epoch) for name, value in metrics.items()])

    def tags(self, run: Run, tags: Mapping[str, Any], again: bool = False) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(run.id, tags=[RunTag(key, redact(text(value))) for key, value in tags.items()])

    def running(self, run: Run, again: bool = False) -> None:
        self._client.update_run(run.id, status="RUNNING")
        self.tags(run, {names.STATE: State.RUNNING})

    def ended(self, run: Run, status: str, when: int, again: bool = False) -> None:
        self._client.set_terminated(run.id, status, when)

    def dataset(self, run: Run, dataset: LoggedDataset, again: bool = False) -> None:
        from mlflow import entities

        digest = dataset.digest[:36]  # all that MLflow takes; the tag has the rest
        source, facts = text({"digest": dataset.digest}), text(dict(dataset.facts))
        shown = entities.Dataset(dataset.name, digest, "unblur", source, profile=facts)
        self._client.log_inputs(run.id, [entities.DatasetInput(shown, [])])

    def file(self, run: Run, name: str, content: str, again: bool = False) -> None:
        self._client.log_text(run.id, content, name)

    def artifact(self, run: Run, path: Path, folder: str, again: bool = False) -> None:
        """A file into `folder`, or what a folder holds into `folder`."""
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        log(run.id, str(path), folder or None)


def having(tags: Mapping[str, str]) -> str:
    """The search for runs that have these tags."""
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
