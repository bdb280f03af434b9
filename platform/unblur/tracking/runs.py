"""What the driver knows of one run in MLflow, and how values become what MLflow stores."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any, Literal

from unblur import provenance
from unblur.tracking import names
from unblur.training.record import State

Kind = Literal["study", "trial", "final", "ablation", "cell"]
"""A search or training with its trials and final runs; an ablation with its cells."""


def now() -> int:
    """Milliseconds since 1970, as MLflow has times."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Record:
    """One trial, final run or cell as the study's own record has it, which is the truth.

    metrics: by epoch, by name (`valid/ndcg_at_10`). What MLflow has lost is given the times (ms since 1970) that are
    known: when an epoch was reported, when the run began and ended.
    """

    kind: Kind
    number: int
    params: Mapping[str, Any]
    state: State
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    reason: str | None = None
    name: str | None = None
    """As people see it, unless its kind and number are enough."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[int, int] = field(default_factory=dict)
    begun: int | None = None
    ended: int | None = None


@dataclass(frozen=True)
class LoggedDataset:
    """The study's data as MLflow shows it: a name, a digest, and facts (users, items, train, ...)."""

    name: str
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """A run of the study, in MLflow or on its way there (`id` is None until it has arrived)."""

    kind: Kind
    number: int
    id: str | None = None
    status: str = "RUNNING"
    state: str = State.RUNNING
    """As its tag has it; nothing where it has none."""
    reason: str = ""
    params: set[str] = field(default_factory=set)
    last: dict[str, tuple[int, float]] = field(default_factory=dict)  # metric -> newest (epoch, value)
    tags: set[str] = field(default_factory=set)
    parent: str = ""
    version: str = field(default_factory=provenance.version)
    commit: str = field(default_factory=lambda: provenance.commit() or "")
    """Of all that worked on it, newest last; see `names`."""

    @property
    def name(self) -> str:
        """As people see it; padded, so that MLflow's list sorts well."""
        numbered = {"trial": "trial {:04d}", "final": "final run {}", "cell": "cell {:04d}"}
        return numbered.get(self.kind, self.kind).format(self.number)

    @property
    def newest(self) -> dict[str, float]:
        """The newest value of each metric."""
        return {name: value for name, (_, value) in self.last.items()}

    def worked_on(self) -> dict[str, str]:
        """Those tags that change as this version and commit, too, work on it; empty if they were the last to."""
        versions = followed(self.version, provenance.version())
        commits = followed(self.commit, provenance.commit() or "")
        same = (versions, commits) == (self.version, self.commit)
        return {} if same else {names.VERSION: versions, names.COMMIT: commits}

    def news(self, epoch: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """Those metrics that MLflow does not have yet; remembers them as logged."""
        fresh = {name: float(value) for name, value in metrics.items() if epoch > self.last.get(name, (-1, 0.0))[0]}
        self.last |= {name: (epoch, value) for name, value in fresh.items()}
        return fresh

    def changes(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Those metrics without epochs whose value is another one than in MLflow; remembers them as logged."""
        fresh = {name: float(value) for name, value in metrics.items() if self.last.get(name, (0, None))[1] != value}
        self.last |= {name: (0, value) for name, value in fresh.items()}
        return fresh


def from_mlflow(found: Any) -> Run:
    """The run that a search found, with what has been logged to it."""
    tags, data = found.data.tags, found.data.to_proto()  # only the proto tells a metric's step
    return Run(
        kind=tags[names.KIND],
        number=int(tags[names.NUMBER]),
        id=found.info.run_id,
        status=found.info.status,
        state=tags.get(names.STATE, ""),
        reason=tags.get(names.REASON, ""),
        params=set(found.data.params),
        tags=set(tags),
        parent=tags.get(names.PARENT, ""),
        version=tags.get(names.VERSION, ""),
        commit=tags.get(names.COMMIT, ""),
        last={metric.key: (metric.step, metric.value) for metric in data.metrics},
    )


def followed(so_far: str, newest: str) -> str:
    """A list of versions or commits, with one more at its end unless that is the last already."""
    each = so_far.split(", ") if so_far else []
    return ", ".join(each if not newest or each[-1:] == [newest] else [*each, newest])


def text(value: Any) -> str:
    """A parameter or tag as text: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other))


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """MLflow stores infinity as 1.8e308, which spoils every plot."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def spread(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Mean and sample standard deviation over seeds: `test/ndcg_at_10` and `test/ndcg_at_10_std`."""
    means = {name: mean(each) for name, each in values.items() if each}
    return means | {names.deviation(name): stdev(each) for name, each in values.items() if len(each) > 1}
