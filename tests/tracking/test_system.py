"""Metrics of the driver's machine on a study's run."""

import time
from collections.abc import Callable

import pytest
import ray  # noqa: F401 - brings psutil, by which MLflow asks the system

from unblur.tracking import system
from unblur.tracking.client import Store
from unblur.tracking.system import sampled
from unblur.tracking.tracker import Tracker

CPU = "system/cpu_utilization_percentage"


def watched(tracker: Tracker, times: int) -> None:
    """Let so many samples be taken."""
    first = tracker._study.last.get(CPU, (0, 0.0))[0]
    with sampled(tracker):
        while tracker._study.last.get(CPU, (0, 0.0))[0] < first + times:
            time.sleep(0.01)
    assert tracker.close() is None


def test_the_machine_is_sampled_in_steps_that_a_resume_goes_on_with(
    store: Store, open_tracker: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "SECONDS", 0.02)
    for _ in range(2):
        watched(tracker := open_tracker(store), 2)
    history = store.client.get_metric_history(tracker.parent_run_id, CPU)
    assert [each.step for each in history] == list(range(1, len(history) + 1)) and len(history) >= 4
    found = store.client.get_run(tracker.parent_run_id).data.metrics
    for name in ("system_memory_usage_megabytes", "disk_available_megabytes", "network_receive_megabytes"):
        assert f"system/{name}" in found
    assert 0 <= found[CPU] <= 100


def test_what_ends_at_once_is_not_sampled(store: Store, open_tracker: Callable[..., Tracker]) -> None:
    begun = time.monotonic()
    with sampled(tracker := open_tracker(store)):
        pass
    assert time.monotonic() - begun < system.SECONDS / 2 and CPU not in tracker._study.last


def test_a_system_that_cannot_be_asked_costs_nothing_else(
    store: Store, open_tracker: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        refused.append(1)
        raise ImportError("no psutil")

    refused: list[int] = []
    monkeypatch.setattr(system, "SECONDS", 0.01)
    monkeypatch.setattr(system, "_monitors", refuse)
    with sampled(tracker := open_tracker(store)):
        while not refused:
            time.sleep(0.01)
    assert tracker.close() is None
