"""What Prometheus is told of a running command, by the metrics agents that Ray has on every node."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import ray
from ray.util import metrics

from unblur.evaluation.measuring import spelled
from unblur.running.execution import Execution
from unblur.running.retries import TOLD, Fault
from unblur.running.work import Listener
from unblur.tracking import names
from unblur.tracking.runs import Kind
from unblur.tracking.tracker import Tracker
from unblur.training.record import State
from unblur.training.report import Progress

log = logging.getLogger(__name__)
SECONDS = 5.0
"""Between two readings; Ray's agents are told what was read last every ten seconds (`metrics_report_interval_ms`)."""
OF = ("study", "dataset", "model", "kind")
"""Labels of every reading; kind: trial, final or cell."""


class Measure(Enum):
    """What is measured: a sentence, and the labels that it has beside `OF`.

    All are gauges, also what only grows: Ray's agents forget the gauges of a driver that is gone, and its counters not.
    """

    TASKS = "Trainings by what has become of them, those of earlier starts included", "state"
    WANTED = ("How many of them are to be finished",)
    RETRIES = "Trainings that were begun again in this start, by what went wrong", "fault"
    BEST = "The best value on validation so far, of all users", "metric"
    EPOCH_SECONDS = ("Seconds of an epoch with its evaluations, of the running trainings once these have told it",)
    TRAINED_SECONDS = ("Seconds of all trainings together, in all starts",)
    CORE_HOURS = ("Hours of all trainings together, in all starts, times the CPUs that each had",)
    GPU_HOURS = ("The same, times the GPUs",)
    SILENT_SECONDS = ("Seconds since a training was last heard of",)
    CPUS = ("CPUs that one training has, of all its workers",)
    GPUS = ("GPUs that one training has, of all its workers; a part of one is shared",)
    MEMORY_BYTES = ("The most memory that a training took above its process's own, of the GPU where it has one",)
    FORECAST_BYTES = ("The most memory that one may take, by the estimate made before the start",)
    MLFLOW_QUEUE = ("Writes that wait for MLflow",)

    def __init__(self, told: str, *labels: str) -> None:
        self.told, self.labels = told, (*OF, *labels)

    @property
    def own(self) -> str:
        """Its name as Ray is told it."""
        return f"unblur_{self.name.lower()}"

    @property
    def exported(self) -> str:
        """Its name as Prometheus has it: Ray puts its own before."""
        return f"ray_{self.own}"


SUMS = {
    Measure.TRAINED_SECONDS: names.FACTS["seconds"],
    Measure.CORE_HOURS: names.CORE_HOURS,
    Measure.GPU_HOURS: names.GPU_HOURS,
}
"""What is summed over all trainings."""


@dataclass(frozen=True)
class Reading:
    """A value of a measure, with the labels that it has beside `OF`."""

    measure: Measure
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Monitor(Listener):
    """A listener that sums up a list of trainings, as it stands in the tracker."""

    tracker: Tracker
    of: Mapping[str, str]
    """The labels `OF`, without the kind."""
    kind: Kind
    metric: str
    """The one that decides (`ndcg_at_10`)."""
    wanted: int
    execution: Execution
    is_one: Callable[[int], bool] = lambda _: True
    """Whether a run of that kind belongs to the list, by its number."""
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._again: Counter[Fault] = Counter()
        self._heard = self.clock()

    def started(self, number: int, params: dict[str, object]) -> None:
        self._heard = self.clock()

    def progressed(self, number: int, progress: Progress) -> None:
        self._heard = self.clock()

    def again(self, number: int, fault: Fault) -> None:
        self._again[fault] += 1
        self._heard = self.clock()

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self._heard = self.clock()

    @property
    def labels(self) -> dict[str, str]:
        """Of every reading."""
        return {**self.of, "kind": self.kind}

    def readings(self) -> Iterator[Reading]:
        """All that is known now."""
        states = Counter(self._states().values())
        yield from (Reading(Measure.TASKS, states[state], {"state": state}) for state in State)
        yield from (Reading(Measure.RETRIES, self._again[fault], {"fault": fault}) for fault in TOLD)
        yield Reading(Measure.WANTED, self.wanted)
        yield Reading(Measure.SILENT_SECONDS, self.clock() - self._heard)
        yield Reading(Measure.MLFLOW_QUEUE, self.tracker.waiting)
        yield from self._given()
        yield from self._found()

    def _given(self) -> Iterator[Reading]:
        resources = self.execution.resources
        yield Reading(Measure.CPUS, resources.all_cpus)
        yield Reading(Measure.GPUS, resources.all_gpus)
        if self.execution.memory:
            yield Reading(Measure.FORECAST_BYTES, self.execution.memory)

    def _found(self) -> Iterator[Reading]:
        best, memory = (self._newest(name) for name in (names.best(self.metric), names.FACTS["memory_mib"]))
        seconds, running = self._newest(names.FACTS["seconds"]), self._running()
        if best:
            yield Reading(Measure.BEST, max(value for _, value in best.values()), {"metric": spelled(self.metric)})
        if memory:
            yield Reading(Measure.MEMORY_BYTES, 2**20 * max(value for _, value in memory.values()))
        for measure, name in SUMS.items():
            yield Reading(measure, sum(value for _, value in self._newest(name).values()))
        if timed := [each for number, each in seconds.items() if number in running] or list(seconds.values()):
            epochs = sum(epoch for epoch, _ in timed)
            yield Reading(Measure.EPOCH_SECONDS, sum(value for _, value in timed) / epochs)

    def _running(self) -> set[int]:
        return {number for number, state in self._states().items() if state == State.RUNNING}

    def _states(self) -> dict[int, str]:
        return {number: state for number, state in self.tracker.states(self.kind).items() if self.is_one(number)}

    def _newest(self, metric: str) -> dict[int, tuple[int, float]]:
        found = self.tracker.newest(self.kind, metric)
        return {number: each for number, each in found.items() if self.is_one(number)}


@contextmanager
def exported(monitor: Monitor) -> Iterator[Monitor]:
    """Tell Ray's metrics agents what the monitor reads as long as the block runs; nothing where Ray is not up."""
    if not ray.is_initialized():
        yield monitor
        return
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(monitor, over), name="metrics", daemon=True)
    thread.start()
    try:
        yield monitor
    finally:
        over.set()
        thread.join()


def _tell(monitor: Monitor, over: threading.Event) -> None:
    gauges = {each: metrics.Gauge(each.own, each.told, each.labels) for each in Measure}
    while True:
        last = over.is_set()
        try:
            for reading in monitor.readings():
                gauges[reading.measure].set(reading.value, {**monitor.labels, **reading.labels})
        except Exception:  # nobody's search ends for a picture of it
            log.debug("nothing is told to Ray's metrics agents", exc_info=True)
        if last:
            return
        over.wait(SECONDS)
