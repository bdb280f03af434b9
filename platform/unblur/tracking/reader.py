"""What reports read from MLflow, in few requests however many runs there are. Nothing here writes."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur.errors import UserError
from unblur.tracking import names
from unblur.tracking.address import resolve
from unblur.tracking.client import Store, connect
from unblur.tracking.writer import having

PAGE = 1000  # runs that MLflow gives at once
BULK, POINTS = 100, 2500  # runs of which it gives the histories at once, and values per run
SQL_VARIABLES = 500  # SQLite takes no more than some hundred values in one query
BULK_ENDPOINT = "/api/2.0/mlflow/metrics/get-history-bulk-interval"


@dataclass(frozen=True)
class Found:
    """A run as MLflow has it: parameters and tags are text, metrics the newest values."""

    id: str
    name: str
    status: str
    started: float  # seconds since 1970
    seconds: float | None  # from start to end; None while it runs
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    dataset: str
    facts: Mapping[str, Any]  # of the dataset: users, items, ...

    @property
    def asked(self) -> str:
        """The dataset as it was typed for a study; nothing where that is not recorded."""
        return str(json.loads(self.tags.get(names.DATA_REQUEST, "{}")).get("dataset", ""))

    @property
    def source_digest(self) -> str:
        """Of the raw files; nothing where that is not recorded."""
        return str(self.facts.get("source_digest", ""))


def existing_store(tracking_uri: str | None) -> Store:
    """The store to read from; unlike a search, a report makes no new database where there is none."""
    uri = resolve(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), Path.cwd())
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and not path.exists():
        raise UserError(f"--tracking-uri: there is no MLflow database {path}; unblur tune makes one, or name another.")
    return connect(tracking_uri)


class Reader:
    """Reads one store."""

    def __init__(self, store: Store) -> None:
        self.store, self._client = store, store.client

    def find(self, name: str) -> str | None:
        """The id of an experiment; None when there is none of that name, or it was deleted."""
        with self.store.explained():
            found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id) if found and found.lifecycle_stage == "active" else None

    def experiment(self, name: str) -> str:
        """The id of an experiment; UserError lists those that there are."""
        with self.store.explained():
            known = {each.name: str(each.experiment_id) for each in self._experiments()}
        if name in known:
            return known[name]
        others = sorted(other for other in known if other != "Default")
        there = f"It has: {', '.join(others)}" if others else "It has none: `unblur tune` makes one"
        raise UserError(f"MLflow at {self.store.address} has no experiment {name!r} (dataset/protocol). {there}.")

    def _experiments(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_experiments(max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Found]:
        """All runs with these tags, oldest first."""
        wanted = having(tags)
        found: list[Found] = []
        token = None
        with self.store.explained():
            while True:
                page = self._client.search_runs(
                    [experiment_id],
                    wanted,
                    max_results=PAGE,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
                found += map(_found, page)
                token = page.token
                if not token:
                    return found

    def histories(self, run_ids: Sequence[str], metric: str) -> dict[str, dict[int, float]]:
        """Run -> epoch -> value, for those runs that have the metric.

        The public client asks run by run, a thousand requests for a thousand trials; the stores know a way in bulk.
        """
        histories: dict[str, dict[int, float]] = {}
        tracking = self._client._tracking_client.store
        in_bulk = _from_database if hasattr(tracking, "get_metric_history_bulk") else _from_server
        size = SQL_VARIABLES if in_bulk is _from_database else BULK
        with self.store.explained():
            for first in range(0, len(run_ids), size):
                for run_id, step, value in in_bulk(tracking, run_ids[first : first + size], metric):
                    histories.setdefault(run_id, {})[step] = value
        return histories

    def artifact(self, run_id: str, name: str, into: Path) -> Path | None:
        """A run's artifact, a file or a folder, copied into `into`; None when the run has none of that name."""
        with self.store.explained():
            if all(each.path != name for each in self._client.list_artifacts(run_id)):
                return None
            return Path(self._client.download_artifacts(run_id, name, str(into)))


Point = tuple[str, int, float]


def _from_database(tracking: Any, run_ids: Sequence[str], metric: str) -> Iterator[Point]:
    for each in tracking.get_metric_history_bulk(run_ids, metric, POINTS * len(run_ids)):
        yield each.run_id, each.step, each.value


def _from_server(tracking: Any, run_ids: Sequence[str], metric: str) -> Iterator[Point]:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    wanted = {"run_ids": list(run_ids), "metric_key": metric, "max_results": POINTS}
    answer = http_request(tracking.get_host_creds(), BULK_ENDPOINT, "GET", params=wanted)
    for each in verify_rest_response(answer, BULK_ENDPOINT).json().get("metrics", []):
        yield each["run_id"], int(each.get("step", 0)), float(each["value"])


def _found(run: Any) -> Found:
    info, data = run.info, run.data
    inputs = run.inputs.dataset_inputs if run.inputs else []
    shown = inputs[0].dataset if inputs else None
    return Found(
        id=info.run_id,
        name=info.run_name or "",
        status=info.status,
        started=info.start_time / 1000,
        seconds=(info.end_time - info.start_time) / 1000 if info.end_time else None,
        params=data.params,
        metrics=data.metrics,
        tags=data.tags,
        dataset=shown.name if shown else "",
        facts=json.loads(shown.profile or "{}") if shown else {},
    )
