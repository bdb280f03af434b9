"""What the driver's machine does while a study runs: the metrics of MLflow's tab System metrics (`system/...`)."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from unblur.tracking.tracker import Tracker

log = logging.getLogger(__name__)
SECONDS = 30.0
"""Between two samples; what ends sooner has none."""
PREFIX = "system/"
"""MLflow's own, of its tab System metrics."""


@contextmanager
def sampled(tracker: Tracker) -> Iterator[None]:
    """Log samples on the study's run as long as the block runs; like all that is logged, they wait for MLflow."""
    over = threading.Event()
    thread = threading.Thread(target=_sample, args=(tracker, over), name="system-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sample(tracker: Tracker, over: threading.Event) -> None:
    try:
        monitors = _monitors()
        while not over.wait(SECONDS):
            for monitor in monitors:
                monitor.collect_metrics()
            tracker.sample({f"{PREFIX}{name}": value for each in monitors for name, value in _taken(each).items()})
    except Exception:  # a system that cannot be asked (no psutil, which Ray brings; no /proc)
        log.debug("there are no system metrics", exc_info=True)


def _monitors() -> list[Any]:
    """MLflow's: processor and memory, disk, network, and NVIDIA's GPUs where `nvidia-ml-py` is installed."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with suppress(ImportError, RuntimeError):
        found.append(GPUMonitor())
    for monitor in found:
        monitor.collect_metrics()  # from here on: the processor's use is told since the question before
        monitor.clear_metrics()
    return found


def _taken(monitor: Any) -> dict[str, float]:
    values: dict[str, float] = monitor.aggregate_metrics()
    monitor.clear_metrics()
    return values
